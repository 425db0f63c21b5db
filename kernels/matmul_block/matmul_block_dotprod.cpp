// ARMv8.2 dot products (Cortex-A55, A76 and later).
//
// Prefill: 8 activation rows x 8 weight rows, 16 sums in registers, activations by lane: for each 4
// columns 2 loads for 16 sdot. A group of 32 columns is 128 sdot, and then 48 float operations
// scale it: so at most 0.73 of the peak, as they share the pipes.
// Cycles as llvm-mca predicts them: bench/arm/README.md.
#include "kernels/matmul_block/block_pack_neon.h"
#include "kernels/matmul_block/row_dots_dotprod.h"
#include "kernels/matmul_block/tile_multiply_neon.h"

namespace gemlet {
namespace {

// Prefill's products.
struct Vectors {
    static constexpr bool kPairs = false;
    static constexpr size_t kMaxRows = 8;

    template <int kLane, size_t kRows>
    __attribute__((always_inline)) static void add_quad(const uint8_t* codes,
                                                        const int8x16_t (&x)[kRows],
                                                        int32x4_t (&s)[kRows][kVectors]) {
        const auto* from = reinterpret_cast<const int8_t*>(codes) + kLane * 4 * kTileColumns;
        const int8x16_t w[kVectors] = {vld1q_s8(from), vld1q_s8(from + 16)};
#pragma GCC unroll 16
        for (size_t i = 0; i < kRows * kVectors; ++i) {
            int32x4_t& sum = s[i / kVectors][i % kVectors];
            sum = vdotq_laneq_s32(sum, w[i % kVectors], x[i / kVectors], kLane);
        }
    }

    template <Width kWidth, bool kHalf, size_t kRows>
    __attribute__((always_inline)) static void add_codes(const uint8_t* codes, const int8_t* x,
                                                         size_t x_stride,
                                                         int32x4_t (&s)[kRows][kVectors]) {
#pragma GCC unroll 16
        for (size_t i = 0; i < kRows * kVectors; ++i) {
            s[i / kVectors][i % kVectors] = vdupq_n_s32(0);
        }
#pragma GCC unroll 2
        for (size_t half = 0; half < (kHalf ? 1 : 2); ++half) {
            int8x16_t in[kRows];
#pragma GCC unroll 8
            for (size_t r = 0; r < kRows; ++r) in[r] = vld1q_s8(x + r * x_stride + 16 * half);
            const uint8_t* at = codes + 16 * half * kTileColumns;
            add_quad<0, kRows>(at, in, s);
            add_quad<1, kRows>(at, in, s);
            add_quad<2, kRows>(at, in, s);
            add_quad<3, kRows>(at, in, s);
        }
    }
};

}  // namespace

extern const MatmulBlockVariant matmul_block_dotprod;
const MatmulBlockVariant matmul_block_dotprod = {"matmul_block_dotprod", Isa::dotprod, pack_rows,
                                                 run_variant<Arith, Vectors>};

}  // namespace gemlet
