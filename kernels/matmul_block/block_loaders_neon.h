// Loads 128 columns of a weight row as eight registers of byte codes and registers of scales,
// straight from the stored blocks. Included by ISA files only: everything is in an anonymous
// namespace.
//
// Order inside a Block128: codes[2g] columns 0..15 of group g, codes[2g + 1] columns 16..31; a lane
// of scale and min for each of the four groups. Codes are unsigned (code + kBias) and below the
// limit of their kWidth, or signed where the format uses all eight bits.
#pragma once

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace gemlet {
namespace {

/// Range of a format's byte codes, which decides how many products fit 16 bits.
enum class Width { u4, u5, u6, u7, s8 };

struct Block128 {
    int8x16_t codes[8];
    float32x4_t scale[2];  // [1]: second 16 columns of each group, only with kHalves
    float32x4_t min[2];    // only with kMins; [1] as above
};

inline int8x16_t as_codes(uint8x16_t v) { return vreinterpretq_s8_u8(v); }
inline uint8x16_t low_nibbles(uint8x16_t v) { return vandq_u8(v, vdupq_n_u8(15)); }
inline uint8x16_t high_nibbles(uint8x16_t v) { return vshrq_n_u8(v, 4); }

inline uint16_t word_at(const uint8_t* p) {
    uint16_t v = 0;
    memcpy(&v, p, sizeof(v));
    return v;
}

// Halves of four blocks, `stride` bytes apart, as floats.
inline float32x4_t halves_at(const uint8_t* p, size_t stride) {
    uint16x4_t h = vdup_n_u16(word_at(p));
    h = vset_lane_u16(word_at(p + stride), h, 1);
    h = vset_lane_u16(word_at(p + 2 * stride), h, 2);
    h = vset_lane_u16(word_at(p + 3 * stride), h, 3);
    return vcvt_f32_f16(vreinterpret_f16_u16(h));
}

inline float half_at(const uint8_t* p) {
    return vgetq_lane_f32(vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(word_at(p)))), 0);
}

// Four bytes as floats.
inline float32x4_t bytes_to_floats(uint32_t bytes) {
    const uint16x8_t words = vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(bytes)));
    return vcvtq_f32_u32(vmovl_u16(vget_low_u16(words)));
}

inline uint32_t dword_at(const uint8_t* p) {
    uint32_t v = 0;
    memcpy(&v, p, sizeof(v));
    return v;
}

// 16 bits as 0 or 16 in a byte each.
inline uint8x16_t fifth_bits(const uint8_t* p) {
    const uint8_t order[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    const uint8x16_t each = vcombine_u8(vdup_n_u8(p[0]), vdup_n_u8(p[1]));
    return vandq_u8(vtstq_u8(each, vld1q_u8(order)), vdupq_n_u8(16));
}

// Formats of blocks of 32: kBytes is that of eight blocks. `quad` is the first or second half of
// 256 columns at p.
template <size_t kStride, size_t kNibbles>
inline void load_nibbles(const uint8_t* p, Block128& b) {
#pragma GCC unroll 4
    for (size_t g = 0; g < 4; ++g) {
        const uint8x16_t both = vld1q_u8(p + g * kStride + kNibbles);
        b.codes[2 * g] = as_codes(low_nibbles(both));
        b.codes[2 * g + 1] = as_codes(high_nibbles(both));
    }
}

template <size_t kStride, size_t kNibbles>
inline void load_fives(const uint8_t* p, Block128& b) {
#pragma GCC unroll 4
    for (size_t g = 0; g < 4; ++g) {
        const uint8_t* at = p + g * kStride + kNibbles;
        const uint8x16_t both = vld1q_u8(at);
        b.codes[2 * g] = as_codes(vorrq_u8(low_nibbles(both), fifth_bits(at - 4)));
        b.codes[2 * g + 1] = as_codes(vorrq_u8(high_nibbles(both), fifth_bits(at - 2)));
    }
}

struct Q40 {
    static constexpr size_t kBytes = 144;
    static constexpr int kBias = 8;
    static constexpr Width kWidth = Width::u4;
    static constexpr bool kHalves = false;
    static constexpr bool kMins = false;
    static void load(const uint8_t* p, size_t quad, Block128& b) {
        p += quad * 72;
        load_nibbles<18, 2>(p, b);
        b.scale[0] = halves_at(p, 18);
    }
};

struct Q41 {
    static constexpr size_t kBytes = 160;
    static constexpr int kBias = 0;
    static constexpr Width kWidth = Width::u4;
    static constexpr bool kHalves = false;
    static constexpr bool kMins = true;
    static void load(const uint8_t* p, size_t quad, Block128& b) {
        p += quad * 80;
        load_nibbles<20, 4>(p, b);
        b.scale[0] = halves_at(p, 20);
        b.min[0] = vnegq_f32(halves_at(p + 2, 20));
    }
};

struct Q50 {
    static constexpr size_t kBytes = 176;
    static constexpr int kBias = 16;
    static constexpr Width kWidth = Width::u5;
    static constexpr bool kHalves = false;
    static constexpr bool kMins = false;
    static void load(const uint8_t* p, size_t quad, Block128& b) {
        p += quad * 88;
        load_fives<22, 6>(p, b);
        b.scale[0] = halves_at(p, 22);
    }
};

struct Q51 {
    static constexpr size_t kBytes = 192;
    static constexpr int kBias = 0;
    static constexpr Width kWidth = Width::u5;
    static constexpr bool kHalves = false;
    static constexpr bool kMins = true;
    static void load(const uint8_t* p, size_t quad, Block128& b) {
        p += quad * 96;
        load_fives<24, 8>(p, b);
        b.scale[0] = halves_at(p, 24);
        b.min[0] = vnegq_f32(halves_at(p + 2, 24));
    }
};

struct Q80 {
    static constexpr size_t kBytes = 272;
    static constexpr int kBias = 0;
    static constexpr Width kWidth = Width::s8;
    static constexpr bool kHalves = false;
    static constexpr bool kMins = false;
    static void load(const uint8_t* p, size_t quad, Block128& b) {
        p += quad * 136;
#pragma GCC unroll 4
        for (size_t g = 0; g < 4; ++g) {
            b.codes[2 * g] = as_codes(vld1q_u8(p + 34 * g + 2));
            b.codes[2 * g + 1] = as_codes(vld1q_u8(p + 34 * g + 18));
        }
        b.scale[0] = halves_at(p, 34);
    }
};

// The level table of iq4_nl and iq4_xs.
inline void look_up_levels(Block128& b) {
    const int8_t levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                               1,    13,   25,  38,  53,  69,  89,  113};
    const int8x16_t table = vld1q_s8(levels);
#pragma GCC unroll 8
    for (int8x16_t& codes : b.codes) codes = vqtbl1q_s8(table, vreinterpretq_u8_s8(codes));
}

struct Iq4Nl {
    static constexpr size_t kBytes = 144;
    static constexpr int kBias = 0;
    static constexpr Width kWidth = Width::s8;
    static constexpr bool kHalves = false;
    static constexpr bool kMins = false;
    static void load(const uint8_t* p, size_t quad, Block128& b) {
        p += quad * 72;
        load_nibbles<18, 2>(p, b);
        look_up_levels(b);
        b.scale[0] = halves_at(p, 18);
    }
};

// Formats of blocks of 256. Scales and minimums of q4_k and q5_k: 6 bits each; those of the second
// four groups lie in pieces.
inline void load_k_pairs(const uint8_t* p, size_t quad, Block128& b) {
    const uint32_t s0 = dword_at(p + 4);
    const uint32_t s1 = dword_at(p + 8);
    const uint32_t s2 = dword_at(p + 12);
    uint32_t scales = s0 & 0x3f3f3f3fU;
    uint32_t mins = s1 & 0x3f3f3f3fU;
    if (quad == 1) {
        scales = (s2 & 0x0f0f0f0fU) | ((s0 >> 2) & 0x30303030U);
        mins = ((s2 >> 4) & 0x0f0f0f0fU) | ((s1 >> 2) & 0x30303030U);
    }
    b.scale[0] = vmulq_n_f32(bytes_to_floats(scales), half_at(p));
    b.min[0] = vmulq_n_f32(bytes_to_floats(mins), half_at(p + 2));
}

// 64 bytes whose low nibbles are the groups 0 and 2, the high ones 1 and 3.
inline void load_nibble_groups(const uint8_t* p, Block128& b) {
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; ++i) {
        const uint8x16_t both = vld1q_u8(p + 16 * i);
        b.codes[i / 2 * 4 + i % 2] = as_codes(low_nibbles(both));
        b.codes[i / 2 * 4 + 2 + i % 2] = as_codes(high_nibbles(both));
    }
}

struct Q4K {
    static constexpr size_t kBytes = 144;
    static constexpr int kBias = 0;
    static constexpr Width kWidth = Width::u4;
    static constexpr bool kHalves = false;
    static constexpr bool kMins = true;
    static void load(const uint8_t* p, size_t quad, Block128& b) {
        load_nibble_groups(p + 16 + 64 * quad, b);
        load_k_pairs(p, quad, b);
    }
};

struct Q5K {
    static constexpr size_t kBytes = 176;
    static constexpr int kBias = 0;
    static constexpr Width kWidth = Width::u5;
    static constexpr bool kHalves = false;
    static constexpr bool kMins = true;
    static void load(const uint8_t* p, size_t quad, Block128& b) {
        load_nibble_groups(p + 48 + 64 * quad, b);
#pragma GCC unroll 2
        for (size_t half = 0; half < 2; ++half) {
            // Bit 4 * quad + g belongs to group g.
            const uint8x16_t bits = vld1q_u8(p + 16 + 16 * half);
            const uint8x16_t four = quad == 0 ? bits : vshrq_n_u8(bits, 4);
            const uint8x16_t mask = vdupq_n_u8(16);
            const uint8x16_t high[4] = {
                vandq_u8(vshlq_n_u8(four, 4), mask), vandq_u8(vshlq_n_u8(four, 3), mask),
                vandq_u8(vshlq_n_u8(four, 2), mask), vandq_u8(vshlq_n_u8(four, 1), mask)};
#pragma GCC unroll 4
            for (size_t g = 0; g < 4; ++g) {
                int8x16_t& codes = b.codes[2 * g + half];
                codes = vorrq_s8(codes, as_codes(high[g]));
            }
        }
        load_k_pairs(p, quad, b);
    }
};

struct Q6K {
    static constexpr size_t kBytes = 210;
    static constexpr int kBias = 32;
    static constexpr Width kWidth = Width::u6;
    static constexpr bool kHalves = true;
    static constexpr bool kMins = false;
    static void load(const uint8_t* p, size_t quad, Block128& b) {
        const uint8_t* low = p + 64 * quad;
        const uint8x16_t mask = vdupq_n_u8(48);
#pragma GCC unroll 2
        for (size_t half = 0; half < 2; ++half) {
            const uint8x16_t high = vld1q_u8(p + 128 + 32 * quad + 16 * half);
            const uint8x16_t a = vld1q_u8(low + 16 * half);
            const uint8x16_t c = vld1q_u8(low + 32 + 16 * half);
            b.codes[half] = as_codes(vorrq_u8(low_nibbles(a), vandq_u8(vshlq_n_u8(high, 4), mask)));
            b.codes[2 + half] =
                as_codes(vorrq_u8(low_nibbles(c), vandq_u8(vshlq_n_u8(high, 2), mask)));
            b.codes[4 + half] = as_codes(vorrq_u8(high_nibbles(a), vandq_u8(high, mask)));
            b.codes[6 + half] =
                as_codes(vorrq_u8(high_nibbles(c), vandq_u8(vshrq_n_u8(high, 2), mask)));
        }
        // Scales lie as group 0 first half, second half, group 1 first half, ...
        const int16x8_t scales =
            vmovl_s8(vld1_s8(reinterpret_cast<const int8_t*>(p) + 192 + 8 * quad));
        const float d = half_at(p + 208);
        const int16x8_t first = vuzp1q_s16(scales, scales);
        const int16x8_t second = vuzp2q_s16(scales, scales);
        b.scale[0] = vmulq_n_f32(vcvtq_f32_s32(vmovl_s16(vget_low_s16(first))), d);
        b.scale[1] = vmulq_n_f32(vcvtq_f32_s32(vmovl_s16(vget_low_s16(second))), d);
    }
};

struct Iq4Xs {
    static constexpr size_t kBytes = 136;
    static constexpr int kBias = 0;
    static constexpr Width kWidth = Width::s8;
    static constexpr bool kHalves = false;
    static constexpr bool kMins = false;
    static void load(const uint8_t* p, size_t quad, Block128& b) {
        load_nibbles<16, 8>(p + 64 * quad, b);
        look_up_levels(b);
        const auto low = static_cast<uint32_t>(word_at(p + 4 + 2 * quad));
        const auto high = static_cast<uint32_t>(word_at(p + 2)) >> (8 * quad);
        int32_t scales[4];
        for (uint32_t g = 0; g < 4; ++g) {
            const uint32_t bits = (low >> (4 * g) & 15U) | (high >> (2 * g) & 3U) << 4U;
            scales[g] = static_cast<int32_t>(bits) - 32;
        }
        b.scale[0] = vmulq_n_f32(vcvtq_f32_s32(vld1q_s32(scales)), half_at(p));
    }
};

}  // namespace
}  // namespace gemlet
