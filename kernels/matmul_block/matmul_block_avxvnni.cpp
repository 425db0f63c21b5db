// AVX-VNNI: vpdpbusd on 256 bits (Intel hybrid CPUs). All formats take one path: signed codes get a
// bias of 128, which the activations' sums take off again.
//
// Prefill: 6 activation rows x 2 vectors of sums, 2 weight vectors, 1 broadcast: all but one
// register. Predicted, not measured: at most 0.73 of the peak, as scaling shares the two ports.
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

// Decode's products.
struct Arith {
    template <Width kWidth, bool kHalves>
    __attribute__((always_inline)) static void dots(const __m256i w[8], const XBlock& x,
                                                    __m256i sums[]) {
        const __m256i flip = _mm256_set1_epi8(kWidth == Width::s8 ? -128 : 0);
        __m256i v[2][4];
#pragma GCC unroll 8
        for (int j = 0; j < 8; ++j) {
            const bool adds_on = !kHalves && j % 2 == 1;
            const __m256i from = adds_on ? v[0][j / 2] : _mm256_setzero_si256();
            v[kHalves ? j % 2 : 0][j / 2] =
                _mm256_dpbusd_avx_epi32(from, _mm256_xor_si256(w[j], flip), load_256(x.codes[j]));
        }
#pragma GCC unroll 2
        for (int i = 0; i < (kHalves ? 2 : 1); ++i) {
            sums[i] = add_pairs(add_pairs(v[i][0], v[i][1]), add_pairs(v[i][2], v[i][3]));
        }
    }
};

struct Dots {
    static constexpr int kSignedBias = 128;
    template <size_t kM, class Rows>
    static void dot_rows(const Rows& rows, size_t n_rows, const XBlock* x, size_t n_blocks,
                         __m256 lanes[kM][kRowsAtOnce]) {
        gemlet::dot_rows<Arith, kM>(rows, n_rows, x, n_blocks, lanes);
    }
};

// Prefill's vectors: 6 rows x 2 vectors of sums, 2 weight vectors, 1 broadcast.
struct Vectors : Vectors256 {
    static constexpr size_t kMaxRows = 6;
    static constexpr size_t kMaxRowsHalves = 4;
    static constexpr bool kFlip = true;
    template <Width kWidth>
    static constexpr Width width() {
        return Width::s8;  // does not matter here: formats share the code
    }

    // kChunks times 4 columns: s[r] = start[r][g] + sum of codes times activations of row r.
    template <Width kWidth, int kChunks, size_t kRows, int kVectors>
    __attribute__((always_inline)) static void add_chunks(const uint8_t* codes, const int8_t* x,
                                                          size_t x_stride,
                                                          const int32_t (*start)[8], size_t g,
                                                          Ints s[kRows][kVectors]) {
#pragma GCC unroll 6
        for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
            for (int i = 0; i < kVectors; ++i) s[r][i] = _mm256_set1_epi32(start[r][g]);
        }
#pragma GCC unroll 8
        for (int c = 0; c < kChunks; ++c) {
            Ints w[kVectors];
#pragma GCC unroll 2
            for (int i = 0; i < kVectors; ++i) w[i] = load_256(codes + 64 * c + 32 * i);
#pragma GCC unroll 6
            for (size_t r = 0; r < kRows; ++r) {
                const auto* at = reinterpret_cast<const uint8_t*>(x + r * x_stride + 4 * c);
                const Ints v = _mm256_set1_epi32(load_i32(at));
#pragma GCC unroll 2
                for (int i = 0; i < kVectors; ++i) {
                    s[r][i] = _mm256_dpbusd_avx_epi32(s[r][i], w[i], v);
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

extern const MatmulBlockVariant matmul_block_avxvnni;
const MatmulBlockVariant matmul_block_avxvnni = {"matmul_block_avxvnni", Isa::avxvnni, pack_rows,
                                                 run};

}  // namespace gemlet
