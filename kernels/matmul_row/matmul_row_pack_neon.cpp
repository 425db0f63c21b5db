// Packs activations with NEON, for all ARM variants: quantises 16 columns of every stream at a
// time, then sorts the bytes into streams. Work is O(k) against O(n k) of the product.
#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/matmul_row/matmul_row.h"

namespace gemlet {

void matmul_row_pack_neon(const PackRowArgs& args);

namespace {

constexpr size_t kChunk = 16;  // bytes of a register

struct Quantiser {
    float32x4_t scale;
    float32x4_t low;
    float32x4_t high;
};

// NaN becomes the lower bound, as in the scalar variant.
inline int32x4_t quantise_4(const float* x, const Quantiser& q) {
    const float32x4_t v = vrndnq_f32(vdivq_f32(vld1q_f32(x), q.scale));
    const float32x4_t above = vbslq_f32(vcgtq_f32(v, q.low), v, q.low);
    return vcvtnq_s32_f32(vminq_f32(above, q.high));
}

// 4 x 4 numbers that fit int8 to 16 bytes in order.
inline int8x16_t to_bytes(const int32x4_t* v) {
    const int16x8_t low = vmovn_high_s32(vmovn_s32(v[0]), v[1]);
    const int16x8_t high = vmovn_high_s32(vmovn_s32(v[2]), v[3]);
    return vmovn_high_s16(vmovn_s16(low), high);
}

// Stores 16 codes of each stream; bytes hold 16 * kStreams codes in order of columns.
template <size_t kStreams>
inline void store_streams(const int8x16_t* bytes, int8_t* to, size_t stream_bytes) {
    if constexpr (kStreams == 1) {
        vst1q_s8(to, bytes[0]);
    } else if constexpr (kStreams == 2) {
        vst1q_s8(to, vuzp1q_s8(bytes[0], bytes[1]));
        vst1q_s8(to + stream_bytes, vuzp2q_s8(bytes[0], bytes[1]));
    } else {
        const int8x16_t even[2] = {vuzp1q_s8(bytes[0], bytes[1]), vuzp1q_s8(bytes[2], bytes[3])};
        const int8x16_t odd[2] = {vuzp2q_s8(bytes[0], bytes[1]), vuzp2q_s8(bytes[2], bytes[3])};
        vst1q_s8(to, vuzp1q_s8(even[0], even[1]));
        vst1q_s8(to + stream_bytes, vuzp1q_s8(odd[0], odd[1]));
        vst1q_s8(to + 2 * stream_bytes, vuzp2q_s8(even[0], even[1]));
        vst1q_s8(to + 3 * stream_bytes, vuzp2q_s8(odd[0], odd[1]));
    }
}

// NaN is passed over.
inline float max_abs(const float* x, size_t n) {
    float32x4_t largest = vdupq_n_f32(0.0F);
    const auto take = [&](float32x4_t v) {
        const float32x4_t magnitude = vabsq_f32(v);
        largest = vbslq_f32(vcgtq_f32(magnitude, largest), magnitude, largest);
    };
    size_t i = 0;
    for (; i + 4 <= n; i += 4) take(vld1q_f32(x + i));
    float lanes[4] = {};
    memcpy(lanes, x + i, (n - i) * sizeof(float));
    take(vld1q_f32(lanes));
    return vmaxvq_f32(largest);
}

// Takes the lowest balanced digit to the base 256 out of v.
inline int32x4_t next_limb(int32x4_t& v) {
    const int32x4_t digit = vshrq_n_s32(vshlq_n_s32(v, 24), 24);
    v = vshrq_n_s32(vsubq_s32(v, digit), 8);
    return digit;
}

// Quantises 16 * kStreams columns to the bytes of every limb, and adds these to the sums.
template <size_t kStreams, size_t kLimbs>
inline void quantise(const float* from, const Quantiser& q, int8x16_t (&bytes)[kLimbs][kStreams],
                     int32x4_t (&sums)[kLimbs]) {
#pragma GCC unroll 4
    for (size_t s = 0; s < kStreams; ++s) {
        int32x4_t digits[kLimbs][4];
#pragma GCC unroll 4
        for (size_t i = 0; i < 4; ++i) {
            int32x4_t v = quantise_4(from + s * kChunk + i * 4, q);
#pragma GCC unroll 3
            for (size_t limb = 0; limb < kLimbs; ++limb) {
                digits[limb][i] = kLimbs == 1 ? v : next_limb(v);
            }
        }
#pragma GCC unroll 3
        for (size_t limb = 0; limb < kLimbs; ++limb) {
            bytes[limb][s] = to_bytes(digits[limb]);
            sums[limb] = vpadalq_s16(sums[limb], vpaddlq_s8(bytes[limb][s]));
        }
    }
}

template <size_t kStreams, size_t kLimbs>
void pack_row(const PackRowArgs& args, size_t row) {
    constexpr size_t kStep = kChunk * kStreams;  // columns at a time
    const float* x = args.x + row * args.x_stride;
    const size_t limb_bytes = kStreams * args.out.stream_bytes;
    int8_t* codes = args.out.codes + row * kLimbs * limb_bytes;
    float scale = args.input_scale;
    float high = 127.0F;
    float low = -128.0F;
    if (kLimbs > 1) {
        high = static_cast<float>(kFixedPointMax);
        low = -high;
        scale = max_abs(x, args.k) / high;
        if (scale == 0.0F) scale = 1.0F;
    }
    args.out.scale[row] = scale;
    const Quantiser q = {vdupq_n_f32(scale), vdupq_n_f32(low), vdupq_n_f32(high)};
    int32x4_t sums[kLimbs] = {};
    for (size_t byte = 0; byte < args.out.stream_bytes; byte += kChunk) {
        const size_t column = byte * kStreams;
        float rest[kStep];
        const float* from = x + column;
        if (column + kStep > args.k) {
            const size_t left = column < args.k ? args.k - column : 0;
            memset(rest, 0, sizeof(rest));
            if (left > 0) memcpy(rest, from, left * sizeof(float));
            from = rest;
        }
        int8x16_t bytes[kLimbs][kStreams];
        quantise<kStreams, kLimbs>(from, q, bytes, sums);
#pragma GCC unroll 3
        for (size_t limb = 0; limb < kLimbs; ++limb) {
            store_streams<kStreams>(bytes[limb], codes + limb * limb_bytes + byte,
                                    args.out.stream_bytes);
        }
    }
    for (size_t limb = 0; limb < kLimbs; ++limb) {
        args.out.sums[row * kLimbs + limb] = vaddvq_s32(sums[limb]);
    }
}

template <size_t kStreams>
void pack_rows(const PackRowArgs& args) {
    for (size_t row = 0; row < args.m; ++row) {
        if (args.out.n_limbs == 1) {
            pack_row<kStreams, 1>(args, row);
        } else {
            pack_row<kStreams, kFixedPointLimbs>(args, row);
        }
    }
}

}  // namespace

void matmul_row_pack_neon(const PackRowArgs& args) {
    switch (args.type) {
        case WeightType::i2r:
            return pack_rows<4>(args);
        case WeightType::i4r:
            return pack_rows<2>(args);
        default:
            return pack_rows<1>(args);
    }
}

}  // namespace gemlet
