// Decode's products with the dot product instruction, for dotprod and i8mm. Included by ISA files
// only: everything is in an anonymous namespace.
#pragma once

#include "kernels/matmul_block/row_dots_neon.h"

namespace gemlet {
namespace {

inline int32x4_t add_four(const int32x4_t* v) {
    return vpaddq_s32(vpaddq_s32(v[0], v[1]), vpaddq_s32(v[2], v[3]));
}

struct Arith {
    template <Width kWidth, bool kHalves>
    __attribute__((always_inline)) static void dots(const int8x16_t (&w)[8], const int8_t* x,
                                                    int32x4_t* sums) {
        int32x4_t v[2][4];
#pragma GCC unroll 4
        for (size_t g = 0; g < 4; ++g) {
            const int32x4_t zero = vdupq_n_s32(0);
            v[0][g] = vdotq_s32(zero, w[2 * g], vld1q_s8(x + 32 * g));
            v[1][g] = vdotq_s32(kHalves ? zero : v[0][g], w[2 * g + 1], vld1q_s8(x + 32 * g + 16));
        }
        sums[0] = add_four(v[kHalves ? 0 : 1]);
        if (kHalves) sums[1] = add_four(v[1]);
    }
};

}  // namespace
}  // namespace gemlet
