// ARMv8.6 matrix products (Cortex-A510, A710, X2, Neoverse V1 and later).
//
// Prefill: 8 activation rows x 8 weight rows, 16 sums of 2 x 2 outputs; a group of 32 columns is 64
// smmla, 16 moves that pair activation rows, 16 that bring sums into the order of columns, and 48
// float operations: 0.44 of the peak where all share the pipes, yet 1.2 times dotprod's rate.
// Cycles as llvm-mca predicts them: bench/arm/README.md.
#include "kernels/matmul_block/block_pack_neon.h"
#include "kernels/matmul_block/row_dots_dotprod.h"
#include "kernels/matmul_block/tile_multiply_neon.h"

namespace gemlet {
namespace {

inline int8x16_t low_halves(int8x16_t a, int8x16_t b) {
    return vreinterpretq_s8_s64(vzip1q_s64(vreinterpretq_s64_s8(a), vreinterpretq_s64_s8(b)));
}
inline int8x16_t high_halves(int8x16_t a, int8x16_t b) {
    return vreinterpretq_s8_s64(vzip2q_s64(vreinterpretq_s64_s8(a), vreinterpretq_s64_s8(b)));
}

// Prefill's products.
struct Vectors {
    static constexpr bool kPairs = true;
    static constexpr size_t kMaxRows = 8;
    static constexpr size_t kColumnPairs = kStepColumns / 2;

    // 16 columns of kRows rows.
    template <size_t kRows>
    __attribute__((always_inline)) static void add_half(const int8_t* codes, const int8_t* x,
                                                        size_t x_stride,
                                                        int32x4_t (&acc)[kRows / 2][kColumnPairs]) {
        int8x16_t in[2][kRows / 2];
#pragma GCC unroll 4
        for (size_t i = 0; i < kRows / 2; ++i) {
            const int8x16_t a = vld1q_s8(x + 2 * i * x_stride);
            const int8x16_t b = vld1q_s8(x + (2 * i + 1) * x_stride);
            in[0][i] = low_halves(a, b);
            in[1][i] = high_halves(a, b);
        }
#pragma GCC unroll 2
        for (size_t eight = 0; eight < 2; ++eight) {
#pragma GCC unroll 4
            for (size_t pair = 0; pair < kColumnPairs; ++pair) {
                const int8x16_t w = vld1q_s8(codes + eight * 8 * kTileColumns + 16 * pair);
#pragma GCC unroll 4
                for (size_t i = 0; i < kRows / 2; ++i) {
                    acc[i][pair] = vmmlaq_s32(acc[i][pair], in[eight][i], w);
                }
            }
        }
    }

    template <Width kWidth, bool kHalf, size_t kRows>
    __attribute__((always_inline)) static void add_codes(const uint8_t* codes, const int8_t* x,
                                                         size_t x_stride,
                                                         int32x4_t (&s)[kRows][kVectors]) {
        int32x4_t acc[kRows / 2][kColumnPairs] = {};
#pragma GCC unroll 2
        for (size_t half = 0; half < (kHalf ? 1 : 2); ++half) {
            add_half<kRows>(reinterpret_cast<const int8_t*>(codes) + 16 * half * kTileColumns,
                            x + 16 * half, x_stride, acc);
        }
#pragma GCC unroll 8
        for (size_t i = 0; i < kRows / 2 * kVectors; ++i) {
            const size_t pair = 2 * (i % kVectors);
            const int64x2_t a = vreinterpretq_s64_s32(acc[i / kVectors][pair]);
            const int64x2_t b = vreinterpretq_s64_s32(acc[i / kVectors][pair + 1]);
            const size_t row = 2 * (i / kVectors);
            s[row][i % kVectors] = vreinterpretq_s32_s64(vzip1q_s64(a, b));
            s[row + 1][i % kVectors] = vreinterpretq_s32_s64(vzip2q_s64(a, b));
        }
    }
};

}  // namespace

extern const MatmulBlockVariant matmul_block_i8mm;
const MatmulBlockVariant matmul_block_i8mm = {"matmul_block_i8mm", Isa::i8mm, pack_rows,
                                              run_variant<Arith, Vectors>};

}  // namespace gemlet
