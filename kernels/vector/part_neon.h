// A part is one register of floats; four NEON parts make the 16 lanes of the canonical arithmetic.
// The same names as in part_avx2.h and part_sums_x86.h. Included by files built for 64-bit ARM
// only; everything has internal linkage.
#pragma once

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace gemlet {
namespace {

using Part = float32x4_t;
constexpr size_t kPartLanes = 4;
constexpr size_t kParts = 4;
constexpr size_t kTileRows = 4;  // 4 x 4 sums hide the latency of two multipliers

using Four = float32x4_t;    // outputs side by side
using Joined = float32x4_t;  // a sum whose lanes i and i + 8, then i + 4 are added
struct Eight {               // elements of a row
    float32x4_t half[2];
};

inline Part part_zero() { return vdupq_n_f32(0.0F); }
inline Part part_set(float v) { return vdupq_n_f32(v); }
inline Part part_add(Part a, Part b) { return vaddq_f32(a, b); }
inline Part part_sub(Part a, Part b) { return vsubq_f32(a, b); }
inline Part part_mul(Part a, Part b) { return vmulq_f32(a, b); }
inline Part part_div(Part a, Part b) { return vdivq_f32(a, b); }
// a * b + c and a * b - c, rounded once.
inline Part part_fma(Part a, Part b, Part c) { return vfmaq_f32(c, a, b); }
inline Part part_fms(Part a, Part b, Part c) { return vfmaq_f32(vnegq_f32(c), a, b); }
// The second operand if either is NaN; fmax and fmin would give NaN.
inline Part part_max(Part a, Part b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
inline Part part_min(Part a, Part b) { return vbslq_f32(vcltq_f32(a, b), a, b); }

inline Part part_abs(Part v) { return vabsq_f32(v); }
inline Part part_copysign(Part magnitude, Part sign) {
    return vbslq_f32(vdupq_n_u32(0x80000000U), sign, magnitude);
}
inline Part part_and_not(Part v, uint32x4_t mask) {
    return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(v), mask));
}
// v, or 0 where x < bound.
inline Part part_zero_below(Part v, Part x, float bound) {
    return part_and_not(v, vcltq_f32(x, vdupq_n_f32(bound)));
}
// 2^n from a sum whose low mantissa bits hold n (kernels/vector/canonical.cpp).
inline Part part_power(Part shifted) {
    const uint32x4_t exponent = vshlq_n_u32(vreinterpretq_u32_f32(shifted), 23);
    return vreinterpretq_f32_u32(vaddq_u32(exponent, vdupq_n_u32(0x3F800000U)));
}
inline int32x4_t part_lane_numbers() {
    const int32_t numbers[4] = {0, 1, 2, 3};
    return vld1q_s32(numbers);
}
// v in lanes begin <= lane < end, other elsewhere.
inline Part part_in_range(Part v, Part other, int begin, int end) {
    const int32x4_t lane = part_lane_numbers();
    const uint32x4_t from = vcgeq_s32(lane, vdupq_n_s32(begin));
    const uint32x4_t below = vcltq_s32(lane, vdupq_n_s32(end));
    return vbslq_f32(vandq_u32(from, below), v, other);
}

inline Part part_load(const float* from) { return vld1q_f32(from); }
inline void part_store(float* to, Part v) { vst1q_f32(to, v); }
// The first n lanes, n <= kPartLanes; the others read as 0 and are not stored. Memory behind the
// first n is not touched.
inline Part part_load_first(const float* from, size_t n) {
    float lanes[kPartLanes] = {};
    memcpy(lanes, from, n * sizeof(float));
    return vld1q_f32(lanes);
}
inline void part_store_first(float* to, Part v, size_t n) {
    float lanes[kPartLanes];
    vst1q_f32(lanes, v);
    memcpy(to, lanes, n * sizeof(float));
}
inline Part part_load_f16(const void* from) {
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(static_cast<const uint16_t*>(from))));
}
inline Part part_load_bf16(const void* from) {
    return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(static_cast<const uint16_t*>(from)), 16));
}
inline Part part_load_i8(const void* from) {
    uint32_t bytes = 0;
    memcpy(&bytes, from, sizeof(bytes));
    const int16x8_t words = vmovl_s8(vreinterpret_s8_u32(vdup_n_u32(bytes)));
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(words)));
}
inline void part_store_f16(uint16_t* to, Part v) {
    vst1_u16(to, vreinterpret_u16_f16(vcvt_f16_f32(v)));
}
// Rounds to nearest even; the values lie in -128 .. 127.
inline void part_store_i8(int8_t* to, Part v) {
    const int16x4_t words = vmovn_s32(vcvtnq_s32_f32(v));
    const int8x8_t bytes = vmovn_s16(vcombine_s16(words, words));
    const uint32_t four = vget_lane_u32(vreinterpret_u32_s8(bytes), 0);
    memcpy(to, &four, sizeof(four));
}

inline void four_store(float* to, Four v) { vst1q_f32(to, v); }

inline Eight eight_set(float v) { return {{vdupq_n_f32(v), vdupq_n_f32(v)}}; }
inline Eight eight_load(const float* from) { return {{vld1q_f32(from), vld1q_f32(from + 4)}}; }
inline Eight eight_load_f16(const void* from) {
    const auto* words = static_cast<const uint16_t*>(from);
    return {{part_load_f16(words), part_load_f16(words + 4)}};
}
inline Eight eight_load_bf16(const void* from) {
    const auto* words = static_cast<const uint16_t*>(from);
    return {{part_load_bf16(words), part_load_bf16(words + 4)}};
}
inline void eight_store(float* to, Eight v) {
    vst1q_f32(to, v.half[0]);
    vst1q_f32(to + 4, v.half[1]);
}
inline Eight eight_clamp(Eight v, Eight low, Eight high) {
    return {{part_min(part_max(v.half[0], low.half[0]), high.half[0]),
             part_min(part_max(v.half[1], low.half[1]), high.half[1])}};
}

// Two floats from each of two registers: the first, or the last.
inline float32x4_t low_pairs(float32x4_t a, float32x4_t b) {
    return vreinterpretq_f32_f64(vzip1q_f64(vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b)));
}
inline float32x4_t high_pairs(float32x4_t a, float32x4_t b) {
    return vreinterpretq_f32_f64(vzip2q_f64(vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b)));
}

// r[i][j] becomes r[j][i]: each quarter is turned and goes to its place.
inline void transpose_eight(Eight (&r)[8]) {
    Eight turned[8];
#pragma GCC unroll 4
    for (size_t quarter = 0; quarter < 4; ++quarter) {
        const size_t row = quarter / 2 * 4;
        const size_t half = quarter % 2;
        const float32x4_t a = vtrn1q_f32(r[row].half[half], r[row + 1].half[half]);
        const float32x4_t b = vtrn2q_f32(r[row].half[half], r[row + 1].half[half]);
        const float32x4_t c = vtrn1q_f32(r[row + 2].half[half], r[row + 3].half[half]);
        const float32x4_t d = vtrn2q_f32(r[row + 2].half[half], r[row + 3].half[half]);
        turned[half * 4].half[quarter / 2] = low_pairs(a, c);
        turned[half * 4 + 1].half[quarter / 2] = low_pairs(b, d);
        turned[half * 4 + 2].half[quarter / 2] = high_pairs(a, c);
        turned[half * 4 + 3].half[quarter / 2] = high_pairs(b, d);
    }
#pragma GCC unroll 8
    for (size_t i = 0; i < 8; ++i) r[i] = turned[i];
}

// The first levels of the fixed tree: lane i += i + 8, i + 4.
inline Joined join_parts(const Part* lanes) {
    return vaddq_f32(vaddq_f32(lanes[0], lanes[2]), vaddq_f32(lanes[1], lanes[3]));
}

// The rest of the tree for four sums at once: lane i += i + 2, i + 1 of each.
inline Four tree_of_four(Joined a, Joined b, Joined c, Joined d) {
    const float32x4_t ab = vaddq_f32(low_pairs(a, b), high_pairs(a, b));
    const float32x4_t cd = vaddq_f32(low_pairs(c, d), high_pairs(c, d));
    return vpaddq_f32(ab, cd);
}

// Sum of the 16 lanes in kParts parts by the fixed tree.
inline float part_tree(const Part* lanes) {
    const Joined sum = join_parts(lanes);
    return vgetq_lane_f32(tree_of_four(sum, sum, sum, sum), 0);
}

// Largest lane; lanes are not NaN.
inline float part_largest(Part v) { return vmaxvq_f32(v); }

// Lane 0.
inline float part_first(Part v) { return vgetq_lane_f32(v, 0); }

}  // namespace
}  // namespace gemlet
