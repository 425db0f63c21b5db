// ARMv8.0 (Raspberry Pi 4): products of bytes are 16 bits wide, eight to an instruction, and are
// added up there as long as the format's range allows: a group of 32 columns is 4 products a lane
// in decode (63 * 127 * 4 < 2^15) and 8 in prefill, whose codes are signed (32 * 127 * 8 < 2^15).
// Codes of all eight bits are widened after two.
//
// Prefill: 4 activation rows x 8 weight rows, 16 registers of 16-bit sums of two weight rows each;
// for each 4 columns 2 loads and 4 broadcasts for 16 smlal (128 multiply-adds). The multiplier of a
// Cortex-A72 takes one smlal a cycle, so 8 multiply-adds a cycle are its peak.
// Cycles as llvm-mca predicts them: bench/arm/README.md.
#include "kernels/matmul_block/block_pack_neon.h"
#include "kernels/matmul_block/row_dots_neon.h"
#include "kernels/matmul_block/tile_multiply_neon.h"

namespace gemlet {
namespace {

inline int32x4_t add_four(const int32x4_t* v) {
    return vpaddq_s32(vpaddq_s32(v[0], v[1]), vpaddq_s32(v[2], v[3]));
}

// Decode's products.
struct Arith {
    static int16x8_t multiply(int8x16_t w, int8x16_t x) {
        return vmlal_high_s8(vmull_s8(vget_low_s8(w), vget_low_s8(x)), w, x);
    }

    template <Width kWidth, bool kHalves>
    __attribute__((always_inline)) static void dots(const int8x16_t (&w)[8], const int8_t* x,
                                                    int32x4_t* sums) {
        constexpr bool kWide = kWidth == Width::u7 || kWidth == Width::s8;
        int32x4_t v[2][4];
#pragma GCC unroll 4
        for (size_t g = 0; g < 4; ++g) {
            const int8x16_t second = vld1q_s8(x + 32 * g + 16);
            int16x8_t first = multiply(w[2 * g], vld1q_s8(x + 32 * g));
            if (kHalves || kWide) {
                v[0][g] = vpaddlq_s16(first);
                const int16x8_t products = multiply(w[2 * g + 1], second);
                v[1][g] = kHalves ? vpaddlq_s16(products) : vpadalq_s16(v[0][g], products);
            } else {
                first = vmlal_s8(first, vget_low_s8(w[2 * g + 1]), vget_low_s8(second));
                first = vmlal_high_s8(first, w[2 * g + 1], second);
                v[1][g] = vpaddlq_s16(first);
            }
        }
        sums[0] = add_four(v[kHalves ? 0 : 1]);
        if (kHalves) sums[1] = add_four(v[1]);
    }
};

// Prefill's products.
struct Vectors {
    static constexpr bool kPairs = false;
    static constexpr size_t kMaxRows = 4;

    // Sums of 16 bits: [row][vector][columns 0, 1 or 2, 3 of four].
    template <size_t kRows>
    using Narrow = int16x8_t[kRows][kVectors][2];

    template <int kLane, size_t kRows>
    __attribute__((always_inline)) static void add_quad(const uint8_t* codes,
                                                        const int8x16_t (&x)[kRows],
                                                        Narrow<kRows>& s) {
        const auto* from = reinterpret_cast<const int8_t*>(codes) + kLane * 4 * kTileColumns;
        const int8x16_t w[kVectors] = {vld1q_s8(from), vld1q_s8(from + 16)};
#pragma GCC unroll 4
        for (size_t r = 0; r < kRows; ++r) {
            const int8x16_t in =
                vreinterpretq_s8_s32(vdupq_laneq_s32(vreinterpretq_s32_s8(x[r]), kLane));
#pragma GCC unroll 2
            for (size_t i = 0; i < kVectors; ++i) {
                s[r][i][0] = vmlal_s8(s[r][i][0], vget_low_s8(w[i]), vget_low_s8(in));
                s[r][i][1] = vmlal_high_s8(s[r][i][1], w[i], in);
            }
        }
    }

    // Adds the 16-bit sums to the wide ones (or makes these) and starts them again.
    template <size_t kRows>
    __attribute__((always_inline)) static void widen(Narrow<kRows>& narrow, bool first,
                                                     int32x4_t (&s)[kRows][kVectors]) {
#pragma GCC unroll 8
        for (size_t i = 0; i < kRows * kVectors; ++i) {
            int16x8_t(&pair)[2] = narrow[i / kVectors][i % kVectors];
            const int32x4_t sum = vpaddq_s32(vpaddlq_s16(pair[0]), vpaddlq_s16(pair[1]));
            int32x4_t& to = s[i / kVectors][i % kVectors];
            to = first ? sum : vaddq_s32(to, sum);
            pair[0] = pair[1] = vdupq_n_s16(0);
        }
    }

    template <Width kWidth, bool kHalf, size_t kRows>
    __attribute__((always_inline)) static void add_codes(const uint8_t* codes, const int8_t* x,
                                                         size_t x_stride,
                                                         int32x4_t (&s)[kRows][kVectors]) {
        constexpr bool kWide = kWidth == Width::u7 || kWidth == Width::s8;
        Narrow<kRows> narrow = {};
#pragma GCC unroll 2
        for (size_t half = 0; half < (kHalf ? 1 : 2); ++half) {
            int8x16_t in[kRows];
#pragma GCC unroll 4
            for (size_t r = 0; r < kRows; ++r) in[r] = vld1q_s8(x + r * x_stride + 16 * half);
            const uint8_t* at = codes + 16 * half * kTileColumns;
            add_quad<0, kRows>(at, in, narrow);
            add_quad<1, kRows>(at, in, narrow);
            if (kWide) widen<kRows>(narrow, half == 0, s);
            add_quad<2, kRows>(at, in, narrow);
            add_quad<3, kRows>(at, in, narrow);
            if (kWide) widen<kRows>(narrow, false, s);
        }
        if (!kWide) widen<kRows>(narrow, true, s);
    }
};

}  // namespace

extern const MatmulBlockVariant matmul_block_neon;
const MatmulBlockVariant matmul_block_neon = {"matmul_block_neon", Isa::neon, pack_rows,
                                              run_variant<Arith, Vectors>};

}  // namespace gemlet
