// Registers of integers beside the floats of kernels/vector/part_neon.h: 4 sums of 32 bits, 8 codes
// of 16 bits. The same names as in int_part_avx2.h, but the products of two rows' codes stand in
// halves of a register, not side by side, because a lengthening multiply-add takes halves.
// Everything has internal linkage.
#pragma once

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace gemlet {
namespace {

using IntPart = int16x8_t;
using IntSums = int32x4_t;
constexpr size_t kIntLanes = 4;
constexpr size_t kIntCodes = 8;
constexpr size_t kIntTileRows = 4;  // 4 x 4 sums, four inputs and one weight

inline IntSums int_zero() { return vdupq_n_s32(0); }
inline IntPart int_load(const int16_t* from) { return vld1q_s16(from); }
inline IntPart int_load_once(const int16_t* from) { return vld1q_s16(from); }
inline void int_store(int16_t* to, IntPart v) { vst1q_s16(to, v); }
// The first of two codes four times, then the second.
inline IntPart int_set_pair(const int16_t* from) {
    return vcombine_s16(vdup_n_s16(from[0]), vdup_n_s16(from[1]));
}
// kIntCodes bytes, widened.
inline IntPart int_widen(const uint8_t* from) {
    return vmovl_s8(vreinterpret_s8_u8(vld1_u8(from)));
}
// kIntLanes bytes of one row and of another, widened.
inline IntPart int_widen_pairs(const uint8_t* a, const uint8_t* b) {
    uint32_t rows[2];
    memcpy(rows, a, sizeof(uint32_t));
    memcpy(rows + 1, b, sizeof(uint32_t));
    return vmovl_s8(vreinterpret_s8_u32(vld1_u32(rows)));
}
// sums + the products of both halves.
inline IntSums int_madd(IntSums sums, IntPart a, IntPart b) {
    return vmlal_high_s16(vmlal_s16(sums, vget_low_s16(a), vget_low_s16(b)), a, b);
}
inline Part int_to_part(IntSums v) { return vcvtq_f32_s32(v); }
// The lanes of four registers added up, times `unit`.
inline Four int_sums_of_four(IntSums a, IntSums b, IntSums c, IntSums d, float unit) {
    const int32x4_t sums = vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d));
    return vmulq_f32(vcvtq_f32_s32(sums), vdupq_n_f32(unit));
}
// kPartLanes codes, rounded to nearest even.
inline void part_store_codes(int16_t* to, Part v) { vst1_s16(to, vqmovn_s32(vcvtnq_s32_f32(v))); }

}  // namespace
}  // namespace gemlet
