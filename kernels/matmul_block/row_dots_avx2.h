// Decode: few activation rows times each weight row as it lies, eight groups of a row in the lanes
// of one vector. Included by ISA files only: everything is in an anonymous namespace.
#pragma once

#include "kernels/matmul_block/block_rows_avx2.h"
#include "kernels/matmul_block/turn_avx2.h"

namespace gemlet {
namespace {

constexpr size_t kMaxDotRows = 4;   // activation rows that share one look at the weights
constexpr size_t kRowsAtOnce = 8;   // weight rows whose lanes are added together
constexpr size_t kPrefetch = 2048;  // bytes ahead of the block at hand; rows follow each other

// 256 columns of an activation row in the order of a Block256. Beyond the row's end: zeros.
struct alignas(32) XBlock {
    int8_t codes[8][32];
    int32_t start[2][8];  // -bias * sum of the codes; [1]: second 16 columns, only with halves
    float sum[2][8];      // sum of the codes, as above
    float scale[8];
};

// Sums of neighbours: those of a in the lower half of each 128-bit lane, of b in the upper.
inline __m256i add_pairs(__m256i a, __m256i b) {
    const __m256 fa = _mm256_castsi256_ps(a);
    const __m256 fb = _mm256_castsi256_ps(b);
    return _mm256_add_epi32(_mm256_castps_si256(_mm256_shuffle_ps(fa, fb, 0x88)),
                            _mm256_castps_si256(_mm256_shuffle_ps(fa, fb, 0xdd)));
}

// Fills x from 256 columns at `at`, of which n_groups are there.
inline void fill_x_block(const MatmulBlockArgs& args, size_t at, size_t n_groups, bool halves,
                         int bias, XBlock& x) {
    alignas(32) uint8_t codes[256] = {};
    alignas(32) int16_t sums[16] = {};
    alignas(32) float scale[8] = {};
    memcpy(codes, args.x.codes + at, 32 * n_groups);
    memcpy(sums, args.x.sums + at / 16, 2 * n_groups * sizeof(int16_t));
    memcpy(scale, args.x.scale + at / 32, n_groups * sizeof(float));
    for (size_t j = 0; j < 8; ++j) {
        const uint8_t* first = codes + 64 * (j / 2) + 16 * (j % 2);
        store_256(x.codes[j], two_128(first, first + 32));
    }
    const __m256i order = _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7);  // kGroupOfLane
    const __m256i pairs = _mm256_permutevar8x32_epi32(load_256(sums), order);
    for (int part = 0; part < 2; ++part) {
        const int ones = halves ? 1 << (16 * part) : 0x10001;
        const __m256i sum = _mm256_madd_epi16(pairs, _mm256_set1_epi32(ones));
        store_256(x.start[part], _mm256_mullo_epi32(sum, _mm256_set1_epi32(-bias)));
        _mm256_store_ps(x.sum[part], _mm256_cvtepi32_ps(sum));
    }
    _mm256_store_ps(x.scale, _mm256_permutevar8x32_ps(_mm256_load_ps(scale), order));
}

// Adds one block's eight groups to the lanes. Arith multiplies the codes.
template <class Arith, class Rows>
__attribute__((always_inline)) inline __m256 add_block(const Block256& w, const XBlock& x,
                                                       __m256 lanes) {
    constexpr int kParts = Rows::kHalves ? 2 : 1;
    __m256i dots[kParts];
    Arith::template dots<Rows::kWidth, Rows::kHalves>(w.codes, x, dots);
    __m256 t = _mm256_setzero_ps();
#pragma GCC unroll 2
    for (int i = 0; i < kParts; ++i) {
        const __m256 dot = _mm256_cvtepi32_ps(_mm256_add_epi32(dots[i], load_256(x.start[i])));
        t = i == 0 ? _mm256_mul_ps(w.scale[i], dot) : _mm256_fmadd_ps(w.scale[i], dot, t);
    }
#pragma GCC unroll 2
    for (int i = 0; Rows::kMins && i < kParts; ++i) {
        t = _mm256_fnmadd_ps(w.min[i], _mm256_load_ps(x.sum[i]), t);
    }
    return _mm256_fmadd_ps(_mm256_load_ps(x.scale), t, lanes);
}

// The canonical sum's last step for eight weight rows: lanes from the first to the last.
inline __m256 add_lanes(const __m256 rows[kRowsAtOnce]) {
    __m256i v[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) v[i] = _mm256_castps_si256(rows[i]);
    transpose(v);
    __m256 sum = _mm256_castsi256_ps(v[0]);
#pragma GCC unroll 7
    for (int group = 1; group < 8; ++group) {
        const int lane = group / 2 + group % 2 * 4;  // inverse of kGroupOfLane
        sum = _mm256_add_ps(sum, _mm256_castsi256_ps(v[lane]));
    }
    return sum;
}

// Stores the sums of rows n..n+n_rows-1.
template <size_t kM>
inline void store_sums(const MatmulBlockArgs& args, const __m256 lanes[kM][kRowsAtOnce], size_t n,
                       size_t n_rows) {
    for (size_t r = 0; r < kM; ++r) {
        alignas(32) float sums[kRowsAtOnce];
        _mm256_store_ps(sums, add_lanes(lanes[r]));
        memcpy(args.out + r * args.out_stride + n, sums, n_rows * sizeof(float));
    }
}

template <class Arith, size_t kM, class Rows>
void dot_rows(const MatmulBlockArgs& args, const XBlock* x, Rows& rows) {
    const size_t n_blocks = (args.k + 255) / 256;
    for (size_t n = args.n_begin; n < args.n_end; n += kRowsAtOnce) {
        const size_t n_rows = args.n_end - n < kRowsAtOnce ? args.n_end - n : kRowsAtOnce;
        __m256 lanes[kM][kRowsAtOnce] = {};
        for (size_t i = 0; i < n_rows; ++i) {
            rows.row(n + i, 0);
            __m256 acc[kM];
#pragma GCC unroll 4
            for (size_t r = 0; r < kM; ++r) acc[r] = _mm256_setzero_ps();
            for (size_t b = 0; b < n_blocks; ++b) {
                Block256 w;
                rows.prefetch(b, kPrefetch);
                rows.load(b, 0, w);
#pragma GCC unroll 4
                for (size_t r = 0; r < kM; ++r) {
                    acc[r] = add_block<Arith, Rows>(w, x[r * n_blocks + b], acc[r]);
                }
            }
#pragma GCC unroll 4
            for (size_t r = 0; r < kM; ++r) lanes[r][i] = acc[r];
        }
        store_sums<kM>(args, lanes, n, n_rows);
    }
}

// 1 to kMaxDotRows activation rows. `scratch` holds their XBlocks.
template <class Arith, class Rows>
void multiply_few(const MatmulBlockArgs& args, Rows& rows, uint8_t* scratch) {
    auto* x = reinterpret_cast<XBlock*>(scratch);
    const size_t n_blocks = (args.k + 255) / 256;
    const int bias = Arith::template bias<Rows::kWidth>(rows.bias());
    for (size_t r = 0; r < args.m; ++r) {
        for (size_t b = 0; b < n_blocks; ++b) {
            const size_t left = args.k / 32 - 8 * b;
            fill_x_block(args, r * args.k + 256 * b, left < 8 ? left : 8, Rows::kHalves, bias,
                         x[r * n_blocks + b]);
        }
    }
    switch (args.m) {
        case 1:
            return dot_rows<Arith, 1>(args, x, rows);
        case 2:
            return dot_rows<Arith, 2>(args, x, rows);
        case 3:
            return dot_rows<Arith, 3>(args, x, rows);
        default:
            return dot_rows<Arith, 4>(args, x, rows);
    }
}

}  // namespace
}  // namespace gemlet
