// Quantises activations with NEON. Included by ISA files only: everything is in an anonymous
// namespace. Comparisons instead of fmin and fmax make NaN fall as in the scalar variant.
#pragma once

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/matmul_block/matmul_block.h"

namespace gemlet {
namespace {

// 32 columns to codes, their scale and the sums of both halves.
inline void pack_group(const float* x, int8_t* codes, float* scale, int16_t* sums) {
    float32x4_t v[8];
    float32x4_t largest = vdupq_n_f32(0.0F);
#pragma GCC unroll 8
    for (size_t i = 0; i < 8; ++i) {
        v[i] = vld1q_f32(x + 4 * i);
        const float32x4_t magnitude = vabsq_f32(v[i]);
        largest = vbslq_f32(vcgtq_f32(magnitude, largest), magnitude, largest);
    }
    *scale = vmaxvq_f32(largest) / 127.0F;
    const float32x4_t divisor = vdupq_n_f32(*scale);
    const uint32x4_t zero = vceqq_f32(divisor, vdupq_n_f32(0.0F));
    const float32x4_t low = vdupq_n_f32(-127.0F);
    int32x4_t q[8];
#pragma GCC unroll 8
    for (size_t i = 0; i < 8; ++i) {
        const float32x4_t rounded = vrndnq_f32(vdivq_f32(v[i], divisor));
        const float32x4_t kept =
            vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(rounded), zero));
        const float32x4_t above = vbslq_f32(vcgtq_f32(kept, low), kept, low);
        q[i] = vcvtnq_s32_f32(vminq_f32(above, vdupq_n_f32(127.0F)));
    }
#pragma GCC unroll 2
    for (size_t half = 0; half < 2; ++half) {
        const int32x4_t* from = q + 4 * half;
        const int16x8_t first = vmovn_high_s32(vmovn_s32(from[0]), from[1]);
        const int16x8_t second = vmovn_high_s32(vmovn_s32(from[2]), from[3]);
        vst1q_s8(codes + 16 * half, vmovn_high_s16(vmovn_s16(first), second));
        sums[half] = vaddvq_s16(vaddq_s16(first, second));
    }
}

inline void pack_rows(const PackBlockArgs& args) {
    for (size_t r = 0; r < args.m; ++r) {
        for (size_t c = 0; c < args.k; c += kBlockGroup) {
            const size_t at = r * args.k + c;
            pack_group(args.x + r * args.x_stride + c, args.out.codes + at,
                       args.out.scale + at / kBlockGroup, args.out.sums + at / kBlockSum);
        }
    }
}

}  // namespace
}  // namespace gemlet
