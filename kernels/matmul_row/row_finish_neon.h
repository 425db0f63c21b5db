// What matmul_row's ARM variants share: weight bytes as fields, and the end of every sum, four
// outputs at a time. Included by files of one instruction set each, hence anonymous.
#pragma once

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/matmul_row/matmul_row.h"

namespace gemlet {
namespace {

constexpr size_t kGroup = 4;   // weight rows whose sums are reduced together
constexpr size_t kChunk = 16;  // bytes of a register

// Fields of a weight byte as signed bytes: all products here are signed.
//   kStreams  fields of a byte, each meeting its own stream of activations
//   kZero     what a field has too much
//   kMaxField largest magnitude
template <WeightType kType>
struct Fields;
template <>
struct Fields<WeightType::i2r> {
    static constexpr size_t kStreams = 4;
    static constexpr int32_t kZero = 2;
    static constexpr int32_t kMaxField = 3;
    static void unpack(uint8x16_t raw, int8x16_t* fields) {
        const uint8x16_t mask = vdupq_n_u8(3);
        fields[0] = vreinterpretq_s8_u8(vandq_u8(raw, mask));
        fields[1] = vreinterpretq_s8_u8(vandq_u8(vshrq_n_u8(raw, 2), mask));
        fields[2] = vreinterpretq_s8_u8(vandq_u8(vshrq_n_u8(raw, 4), mask));
        fields[3] = vreinterpretq_s8_u8(vshrq_n_u8(raw, 6));
    }
};
template <>
struct Fields<WeightType::i4r> {
    static constexpr size_t kStreams = 2;
    static constexpr int32_t kZero = 8;
    static constexpr int32_t kMaxField = 15;
    static void unpack(uint8x16_t raw, int8x16_t* fields) {
        fields[0] = vreinterpretq_s8_u8(vandq_u8(raw, vdupq_n_u8(15)));
        fields[1] = vreinterpretq_s8_u8(vshrq_n_u8(raw, 4));
    }
};
template <>
struct Fields<WeightType::i8r> {
    static constexpr size_t kStreams = 1;
    static constexpr int32_t kZero = 0;
    static constexpr int32_t kMaxField = 128;
    static void unpack(uint8x16_t raw, int8x16_t* fields) { fields[0] = vreinterpretq_s8_u8(raw); }
};

// Bytes beyond n are zero and not read.
inline uint8x16_t load_part(const uint8_t* p, size_t n) {
    if (n >= kChunk) return vld1q_u8(p);
    uint8_t copy[kChunk] = {};
    memcpy(copy, p, n);
    return vld1q_u8(copy);
}

// Adds the lanes of each of four registers.
inline int32x4_t reduce_group(const int32x4_t* part) {
    return vpaddq_s32(vpaddq_s32(part[0], part[1]), vpaddq_s32(part[2], part[3]));
}

// The first n of four floats. A copy of known size, because a short copy that is read back as one
// register stalls until the store has left the store buffer.
inline float32x4_t load_four(const uint8_t* from, size_t n) {
    float values[kGroup] = {};
    if (n == kGroup) {
        memcpy(values, from, sizeof(values));
    } else {
        memcpy(values, from, n * sizeof(float));
    }
    return vld1q_f32(values);
}

inline void store_four(float* to, float32x4_t v, size_t n) {
    if (n == kGroup) return vst1q_f32(to, v);
    float values[kGroup];
    vst1q_f32(values, v);
    memcpy(to, values, n * sizeof(float));
}

// NaN becomes -128, as in the scalar variant; fmax would pass it on.
inline float32x4_t clamp_code(float32x4_t v) {
    const float32x4_t low = vdupq_n_f32(-128.0F);
    const float32x4_t above = vbslq_f32(vcgtq_f32(v, low), v, low);
    return vminq_f32(above, vdupq_n_f32(127.0F));
}

// Exactly y = acc * (scale * weight_scale), then the output quantiser; n weight rows are valid.
inline void store_outputs(const MatmulRowArgs& args, float32x4_t acc, size_t row, size_t column,
                          size_t n) {
    const float32x4_t weight_scale = load_four(args.weight_scale + column * sizeof(float), n);
    float32x4_t y = vmulq_f32(acc, vmulq_f32(vdupq_n_f32(args.x.scale[row]), weight_scale));
    if (args.output_scale > 0.0F) {
        const float32x4_t step = vdupq_n_f32(args.output_scale);
        y = clamp_code(vrndnq_f32(vdivq_f32(y, step)));
        if (args.out_codes != nullptr) {
            const int16x4_t words = vmovn_s32(vcvtnq_s32_f32(y));
            int8_t codes[8];
            vst1_s8(codes, vmovn_s16(vcombine_s16(words, words)));
            int8_t* to = args.out_codes + row * args.out_codes_stride + column;
            if (n == kGroup) {
                memcpy(to, codes, kGroup);
            } else {
                memcpy(to, codes, n);
            }
            return;
        }
        y = vmulq_f32(y, step);
    }
    store_four(args.out + row * args.out_stride + column, y, n);
}

// Zero points times the sum of activations, which fields have too much.
inline int32x4_t excess_of(int32_t zero, int32_t sum) {
    return vdupq_n_s32(
        static_cast<int32_t>(static_cast<uint32_t>(zero) * static_cast<uint32_t>(sum)));
}

inline void finish_row(const MatmulRowArgs& args, int32_t zero, int32x4_t acc, size_t row,
                       size_t column, size_t n) {
    acc = vsubq_s32(acc, excess_of(zero, args.x.sums[row]));
    store_outputs(args, vcvtq_f32_s32(acc), row, column, n);
}

// Joins the three digits of a fixed-point row in double: exact, rounded once.
inline void finish_limbs(const MatmulRowArgs& args, int32_t zero, const int32x4_t* digits,
                         size_t row, size_t column, size_t n) {
    float64x2_t low = vdupq_n_f64(0.0);
    float64x2_t high = low;
    for (size_t limb = kFixedPointLimbs; limb-- > 0;) {
        const int32_t sum = args.x.sums[row * kFixedPointLimbs + limb];
        const int32x4_t digit = vsubq_s32(digits[limb], excess_of(zero, sum));
        low = vaddq_f64(vmulq_n_f64(low, 256.0), vcvtq_f64_s64(vmovl_s32(vget_low_s32(digit))));
        high = vaddq_f64(vmulq_n_f64(high, 256.0), vcvtq_f64_s64(vmovl_high_s32(digit)));
    }
    store_outputs(args, vcvt_high_f32_f64(vcvt_f32_f64(low), high), row, column, n);
}

}  // namespace
}  // namespace gemlet
