// Decode: few activation rows times each weight row as it lies, eight groups of a row in the lanes
// of one vector. Included by ISA files only: everything is in an anonymous namespace.
#pragma once

#include "kernels/matmul_block/block_rows_avx2.h"

namespace gemlet {
namespace {

constexpr size_t kMaxDotRows = 4;  // activation rows that share one look at the weights

// 256 columns of an activation row.
struct XBlock {
    const int8_t* codes;
    const float* scale;
    const int16_t* sums;
};

// The last columns of the activation rows, followed by zeros.
struct XTail {
    int8_t codes[kMaxDotRows][256];
    float scale[kMaxDotRows][8];
    int16_t sums[kMaxDotRows][16];
};

inline void fill_tail(const MatmulBlockArgs& args, XTail& tail) {
    const size_t n = args.k % 256;
    memset(&tail, 0, sizeof(tail));
    for (size_t r = 0; r < args.m; ++r) {
        const size_t at = r * args.k + args.k - n;
        memcpy(tail.codes[r], args.x.codes + at, n);
        memcpy(tail.scale[r], args.x.scale + at / 32, n / 32 * sizeof(float));
        memcpy(tail.sums[r], args.x.sums + at / 16, n / 16 * sizeof(int16_t));
    }
}

// The canonical sum's last step.
inline float add_lanes(__m256 lanes) {
    float f[8];
    _mm256_storeu_ps(f, lanes);
    return ((((((f[0] + f[1]) + f[2]) + f[3]) + f[4]) + f[5]) + f[6]) + f[7];
}

// Integer sums of the first and second 16 columns of each group, unsigned codes made signed again.
struct GroupSums {
    __m256i first;
    __m256i second;
};

// Adds one block's eight groups to the lanes. Arith::dot multiplies the codes.
template <class Arith, class Rows>
__attribute__((always_inline)) inline __m256 add_block(const Block256& w, const XBlock& x, int bias,
                                                       __m256 lanes) {
    GroupSums dots = Arith::template dot<Rows::kWidth>(w.codes, x.codes);
    const __m256i sums = load_256(x.sums);  // pairs of int16: first and second half of a group
    const __m256i second_bias = _mm256_set1_epi32(bias << 16);
    const __m256i first_bias = _mm256_set1_epi32(bias);
    __m256 t;
    if (Rows::kHalves) {
        dots.first = _mm256_sub_epi32(dots.first, _mm256_madd_epi16(sums, first_bias));
        dots.second = _mm256_sub_epi32(dots.second, _mm256_madd_epi16(sums, second_bias));
        t = _mm256_mul_ps(w.scale[0], _mm256_cvtepi32_ps(dots.first));
        t = _mm256_fmadd_ps(w.scale[1], _mm256_cvtepi32_ps(dots.second), t);
        if (Rows::kMins) {
            const __m256i s0 = _mm256_madd_epi16(sums, _mm256_set1_epi32(1));
            const __m256i s1 = _mm256_madd_epi16(sums, _mm256_set1_epi32(1 << 16));
            t = _mm256_fnmadd_ps(w.min[0], _mm256_cvtepi32_ps(s0), t);
            t = _mm256_fnmadd_ps(w.min[1], _mm256_cvtepi32_ps(s1), t);
        }
    } else {
        const __m256i both = _mm256_or_si256(first_bias, second_bias);
        const __m256i dot = _mm256_sub_epi32(_mm256_add_epi32(dots.first, dots.second),
                                             _mm256_madd_epi16(sums, both));
        t = _mm256_mul_ps(w.scale[0], _mm256_cvtepi32_ps(dot));
        if (Rows::kMins) {
            const __m256i s = _mm256_madd_epi16(sums, _mm256_set1_epi16(1));
            t = _mm256_fnmadd_ps(w.min[0], _mm256_cvtepi32_ps(s), t);
        }
    }
    return _mm256_fmadd_ps(_mm256_loadu_ps(x.scale), t, lanes);
}

template <class Arith, size_t kM, class Rows>
void dot_rows(const MatmulBlockArgs& args, const XTail& tail, Rows& rows) {
    const size_t n_full = args.k / 256;
    const size_t n_blocks = (args.k + 255) / 256;
    for (size_t n = args.n_begin; n < args.n_end; ++n) {
        rows.row(n, 0);
        __m256 lanes[kM];
        for (size_t r = 0; r < kM; ++r) lanes[r] = _mm256_setzero_ps();
        for (size_t b = 0; b < n_blocks; ++b) {
            Block256 w;
            rows.load(b, 0, w);
            for (size_t r = 0; r < kM; ++r) {
                const size_t at = r * args.k + 256 * b;
                const XBlock x = b < n_full ? XBlock{args.x.codes + at, args.x.scale + at / 32,
                                                     args.x.sums + at / 16}
                                            : XBlock{tail.codes[r], tail.scale[r], tail.sums[r]};
                lanes[r] = add_block<Arith, Rows>(w, x, rows.bias(), lanes[r]);
            }
        }
        for (size_t r = 0; r < kM; ++r) args.out[r * args.out_stride + n] = add_lanes(lanes[r]);
    }
}

// 1 to kMaxDotRows activation rows.
template <class Arith, class Rows>
void multiply_few(const MatmulBlockArgs& args, Rows& rows) {
    XTail tail;
    if (args.k % 256 != 0) fill_tail(args, tail);
    switch (args.m) {
        case 1:
            return dot_rows<Arith, 1>(args, tail, rows);
        case 2:
            return dot_rows<Arith, 2>(args, tail, rows);
        case 3:
            return dot_rows<Arith, 3>(args, tail, rows);
        default:
            return dot_rows<Arith, 4>(args, tail, rows);
    }
}

}  // namespace
}  // namespace gemlet
