// AVX2 without VNNI: products of bytes are added in pairs to 16 bits by vpmaddubsw, which
// saturates, so how often 16-bit sums can be added before they are widened depends on the format's
// range (Width): 15 * 127 * 16 and 31 * 127 * 8 and 63 * 127 * 4 stay below 2^15. Signed 8-bit
// codes move their sign to the activation: |w| * sign(x, w), at most 128 * 127 * 2.
//
// Prefill: 4 activation rows x 2 vectors of 16-bit sums in registers, 2 weight vectors, 1
// broadcast; per 4 columns 2 + 4 loads for 8 products and as many additions. Measured on one core
// of a shared Zen 4 (k 1536, 512 rows), share of the rate at which registers are multiplied
// (kernels/probe): Q4_0 0.62-0.65, Q4_K, Q4_1 and Q5_K 0.56-0.61, Q5_0 0.54, Q6_K 0.42-0.49, signed
// codes (Q8_0, IQ4) 0.25-0.30: these widen every product. Scaling limits Q4_0 to about 0.78. Decode
// from cache, GB/s where memory gives 20-23: Q8_0 28, Q4_0 20, Q6_K 19, Q4_1 17.5, Q4_K 16,
// Q5_0 14.6, IQ4 12.5-13.6, Q5_K 12; from memory 0.6-0.9 of what is read.
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/matmul_block/block_pack_avx2.h"
#include "kernels/matmul_block/matmul_block.h"
#include "kernels/matmul_block/row_dots_avx2.h"
#include "kernels/matmul_block/tile_multiply_avx2.h"

namespace gemlet {
namespace {

constexpr size_t kMaxDotRows = 4;  // more activation rows than these multiply unpacked tiles

// Products whose 16-bit pair sums may be added before they are widened.
constexpr int adds_of(Width width) {
    switch (width) {
        case Width::u4:
            return 8;
        case Width::u5:
            return 4;
        case Width::u6:
            return 2;
        default:
            return 1;
    }
}

template <Width kWidth>
__attribute__((always_inline)) inline __m256i products(__m256i w, __m256i x) {
    if (kWidth == Width::s8) {
        return _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
    }
    return _mm256_maddubs_epi16(w, x);
}

inline __m256i widen(__m256i pairs) { return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)); }

// Decode's products.
struct Arith {
    // Sums of each 128-bit lane of v[j]: element j of that lane. kRoom: additions 16 bits can take.
    template <int kRoom>
    __attribute__((always_inline)) static __m256i reduce(const __m256i v[4]) {
        if (kRoom >= 4) {
            return widen(
                _mm256_hadd_epi16(_mm256_hadd_epi16(v[0], v[1]), _mm256_hadd_epi16(v[2], v[3])));
        }
        if (kRoom >= 2) {
            return add_pairs(widen(_mm256_hadd_epi16(v[0], v[1])),
                             widen(_mm256_hadd_epi16(v[2], v[3])));
        }
        return add_pairs(add_pairs(widen(v[0]), widen(v[1])), add_pairs(widen(v[2]), widen(v[3])));
    }

    template <Width kWidth, bool kHalves>
    __attribute__((always_inline)) static void dots(const __m256i w[8], const XBlock& x,
                                                    __m256i sums[]) {
        constexpr int kRoom = adds_of(kWidth);
        __m256i v[2][4];
#pragma GCC unroll 8
        for (int j = 0; j < 8; ++j) {
            v[j % 2][j / 2] = products<kWidth>(w[j], load_256(x.codes[j]));
        }
        if (kHalves) {
            sums[0] = reduce<kRoom>(v[0]);
            sums[1] = reduce<kRoom>(v[1]);
        } else if (kRoom >= 2) {
#pragma GCC unroll 4
            for (int j = 0; j < 4; ++j) v[0][j] = _mm256_add_epi16(v[0][j], v[1][j]);
            sums[0] = reduce<kRoom / 2>(v[0]);
        } else {
#pragma GCC unroll 4
            for (int j = 0; j < 4; ++j) v[0][j] = _mm256_add_epi32(widen(v[0][j]), widen(v[1][j]));
            sums[0] = add_pairs(add_pairs(v[0][0], v[0][1]), add_pairs(v[0][2], v[0][3]));
        }
    }
};

struct Dots {
    static constexpr int kSignedBias = 0;
    template <size_t kM, class Rows>
    static void dot_rows(const Rows& rows, size_t n_rows, const XBlock* x, size_t n_blocks,
                         __m256 lanes[kM][kRowsAtOnce]) {
        gemlet::dot_rows<Arith, kM>(rows, n_rows, x, n_blocks, lanes);
    }
};

// Hides that v is a sum: g++ 12 otherwise reorders a chain of additions so that all products come
// first and are spilled (measured: half the speed).
__attribute__((always_inline)) inline void keep_order(__m256i& v) { asm("" : "+x"(v)); }

// Prefill's vectors.
struct Vectors : Vectors256 {
    static constexpr size_t kMaxRows = 4;
    static constexpr size_t kMaxRowsHalves = 4;
    static constexpr bool kFlip = false;
    template <Width kWidth>
    static constexpr Width width() {
        return kWidth;
    }

    // kChunks times 4 columns: s[r] = start[r][g] + sum of codes times activations of row r.
    template <Width kWidth, int kChunks, size_t kRows, int kVectors>
    __attribute__((always_inline)) static void add_chunks(const uint8_t* codes, const int8_t* x,
                                                          size_t x_stride,
                                                          const int32_t (*start)[8], size_t g,
                                                          Ints s[kRows][kVectors]) {
        constexpr int kAdds = adds_of(kWidth) < kChunks ? adds_of(kWidth) : kChunks;
#pragma GCC unroll 8
        for (int c0 = 0; c0 < kChunks; c0 += kAdds) {
            Ints a[kRows][kVectors];
#pragma GCC unroll 8
            for (int c = c0; c < c0 + kAdds; ++c) {
                Ints w[kVectors];
#pragma GCC unroll 2
                for (int i = 0; i < kVectors; ++i) w[i] = load_256(codes + 64 * c + 32 * i);
#pragma GCC unroll 4
                for (size_t r = 0; r < kRows; ++r) {
                    const auto* at = reinterpret_cast<const uint8_t*>(x + r * x_stride + 4 * c);
                    const Ints v = _mm256_set1_epi32(load_i32(at));
#pragma GCC unroll 2
                    for (int i = 0; i < kVectors; ++i) {
                        const Ints p = products<kWidth>(w[i], v);
                        a[r][i] = c == c0 ? p : _mm256_add_epi16(a[r][i], p);
                        keep_order(a[r][i]);
                    }
                }
            }
#pragma GCC unroll 4
            for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
                for (int i = 0; i < kVectors; ++i) {
                    const Ints sum = c0 == 0 ? _mm256_set1_epi32(start[r][g]) : s[r][i];
                    s[r][i] = _mm256_add_epi32(sum, widen(a[r][i]));
                }
            }
        }
    }
};

void run(const MatmulBlockArgs& args) {
    if (args.m == 0 || args.n_begin >= args.n_end) return;
    uint8_t* work = args.scratch + unpacked_bytes(args.k);
    with_rows(args, args.scratch, [&](auto rows) {
        if (args.m <= kMaxDotRows) return multiply_few<Dots>(args, rows, work);
        multiply_many<Vectors>(args, rows, work);
    });
}

}  // namespace

extern const MatmulBlockVariant matmul_block_avx2;
const MatmulBlockVariant matmul_block_avx2 = {"matmul_block_avx2", Isa::avx2, pack_rows, run};

}  // namespace gemlet
