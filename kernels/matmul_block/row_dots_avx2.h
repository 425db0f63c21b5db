// Decode: few activation rows times each weight row as it lies, eight groups of a row in the lanes
// of one vector. Included by ISA files only: everything is in an anonymous namespace.
#pragma once

#include "kernels/matmul_block/block_rows_avx2.h"
#include "kernels/matmul_block/turn_avx2.h"

namespace gemlet {
namespace {

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

// Sums of kM activation rows and n_rows weight rows, chosen before, by lane.
template <class Arith, size_t kM, class Rows>
inline void dot_rows(const Rows& rows, size_t n_rows, const XBlock* x, size_t n_blocks,
                     __m256 lanes[kM][kRowsAtOnce]) {
    for (size_t i = 0; i < n_rows; ++i) {
        __m256 acc[kM];
#pragma GCC unroll 4
        for (size_t r = 0; r < kM; ++r) acc[r] = _mm256_setzero_ps();
        for (size_t b = 0; b < n_blocks; ++b) {
            Block256 w;
            rows.prefetch(b, i, kPrefetch);
            rows.load(b, i, w);
#pragma GCC unroll 4
            for (size_t r = 0; r < kM; ++r) {
                acc[r] = add_block<Arith, Rows>(w, x[r * n_blocks + b], acc[r]);
            }
        }
#pragma GCC unroll 4
        for (size_t r = 0; r < kM; ++r) lanes[r][i] = acc[r];
    }
}

// Activation rows m0..m0+kM-1 and weight rows n..n+n_rows-1.
template <class Dots, size_t kM, class Rows>
void store_dots(const MatmulBlockArgs& args, const Rows& rows, const XBlock* x, size_t m0, size_t n,
                size_t n_rows) {
    const size_t n_blocks = (args.k + 255) / 256;
    __m256 lanes[kM][kRowsAtOnce] = {};
    Dots::template dot_rows<kM>(rows, n_rows, x + m0 * n_blocks, n_blocks, lanes);
    for (size_t r = 0; r < kM; ++r) {
        alignas(32) float sums[kRowsAtOnce];
        _mm256_store_ps(sums, add_lanes(lanes[r]));
        memcpy(args.out + (m0 + r) * args.out_stride + n, sums, n_rows * sizeof(float));
    }
}

inline void fill_x_blocks(const MatmulBlockArgs& args, bool halves, int bias, XBlock* x) {
    const size_t n_groups = args.k / 32;
    for (size_t r = 0; r < args.m; ++r) {
        for (size_t g = 0; g < n_groups; g += 8, ++x) {
            const size_t left = n_groups - g;
            fill_x_block(args, r * args.k + 32 * g, left < 8 ? left : 8, halves, bias, *x);
        }
    }
}

// A few activation rows, in fours while the weight rows are in cache. `scratch` holds their
// XBlocks. Dots has kSignedBias (that of signed codes) and dot_rows, which may read one row more
// when n_rows is odd.
template <class Dots, class Rows>
void multiply_few(const MatmulBlockArgs& args, Rows& rows, uint8_t* scratch) {
    auto* x = reinterpret_cast<XBlock*>(scratch);
    const int bias = Rows::kWidth == Width::s8 ? Dots::kSignedBias : rows.bias();
    fill_x_blocks(args, Rows::kHalves, bias, x);
    for (size_t n = args.n_begin; n < args.n_end; n += kRowsAtOnce) {
        const size_t n_rows = args.n_end - n < kRowsAtOnce ? args.n_end - n : kRowsAtOnce;
        for (size_t i = 0; i < n_rows + n_rows % 2; ++i) {
            rows.row(i < n_rows ? n + i : args.n_end - 1, i);
        }
        for (size_t m = 0; m < args.m; m += 4) {
            switch (args.m - m) {
                case 1:
                    store_dots<Dots, 1>(args, rows, x, m, n, n_rows);
                    break;
                case 2:
                    store_dots<Dots, 2>(args, rows, x, m, n, n_rows);
                    break;
                case 3:
                    store_dots<Dots, 3>(args, rows, x, m, n, n_rows);
                    break;
                default:
                    store_dots<Dots, 4>(args, rows, x, m, n, n_rows);
                    break;
            }
        }
    }
}

}  // namespace
}  // namespace gemlet
