// A part is one register of floats; two AVX2 parts make the 16 lanes of the canonical arithmetic.
// The same names exist for every instruction set, so that code written on parts is written once.
// Included by files built for AVX2 only; everything has internal linkage.
#pragma once

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

namespace gemlet {
namespace {

using Part = __m256;
constexpr size_t kPartLanes = 8;
constexpr size_t kParts = 2;
constexpr size_t kTileRows = 3;  // 3 x 4 sums, 3 inputs and one weight fill 16 registers

inline Part part_zero() { return _mm256_setzero_ps(); }
inline Part part_set(float v) { return _mm256_set1_ps(v); }
inline Part part_add(Part a, Part b) { return _mm256_add_ps(a, b); }
inline Part part_sub(Part a, Part b) { return _mm256_sub_ps(a, b); }
inline Part part_mul(Part a, Part b) { return _mm256_mul_ps(a, b); }
inline Part part_div(Part a, Part b) { return _mm256_div_ps(a, b); }
// a * b + c and a * b - c, rounded once.
inline Part part_fma(Part a, Part b, Part c) { return _mm256_fmadd_ps(a, b, c); }
inline Part part_fms(Part a, Part b, Part c) { return _mm256_fmsub_ps(a, b, c); }
// The second operand if either is NaN.
inline Part part_max(Part a, Part b) { return _mm256_max_ps(a, b); }
inline Part part_min(Part a, Part b) { return _mm256_min_ps(a, b); }

inline Part part_abs(Part v) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0F), v); }
inline Part part_copysign(Part magnitude, Part sign) {
    const __m256 bit = _mm256_set1_ps(-0.0F);
    return _mm256_or_ps(_mm256_andnot_ps(bit, magnitude), _mm256_and_ps(bit, sign));
}
// v, or 0 where x < bound.
inline Part part_zero_below(Part v, Part x, float bound) {
    return _mm256_andnot_ps(_mm256_cmp_ps(x, _mm256_set1_ps(bound), _CMP_LT_OQ), v);
}
// 2^n from a sum whose low mantissa bits hold n (kernels/vector/canonical.cpp).
inline Part part_power(Part shifted) {
    const __m256i exponent = _mm256_slli_epi32(_mm256_castps_si256(shifted), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(exponent, _mm256_set1_epi32(0x3F800000)));
}
// v in lanes begin <= lane < end, other elsewhere.
inline Part part_in_range(Part v, Part other, int begin, int end) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i before = _mm256_cmpgt_epi32(_mm256_set1_epi32(begin), lane);
    const __m256i inside = _mm256_cmpgt_epi32(_mm256_set1_epi32(end), lane);
    return _mm256_blendv_ps(other, v, _mm256_castsi256_ps(_mm256_andnot_si256(before, inside)));
}

inline __m256i part_first_lanes(size_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
inline Part part_load(const float* from) { return _mm256_loadu_ps(from); }
inline void part_store(float* to, Part v) { _mm256_storeu_ps(to, v); }
// The first n lanes, n <= kPartLanes; the others read as 0 and are not stored. Memory behind the
// first n is not touched.
inline Part part_load_first(const float* from, size_t n) {
    return _mm256_maskload_ps(from, part_first_lanes(n));
}
inline void part_store_first(float* to, Part v, size_t n) {
    _mm256_maskstore_ps(to, part_first_lanes(n), v);
}
inline Part part_load_f16(const void* from) {
    return _mm256_cvtph_ps(_mm_loadu_si128(static_cast<const __m128i*>(from)));
}
inline Part part_load_bf16(const void* from) {
    const __m128i bits = _mm_loadu_si128(static_cast<const __m128i*>(from));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}
inline Part part_load_i8(const void* from) {
    const __m128i codes = _mm_loadl_epi64(static_cast<const __m128i*>(from));
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(codes));
}
inline void part_store_f16(uint16_t* to, Part v) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}
// Rounds to nearest even; the values lie in -128 .. 127.
inline void part_store_i8(int8_t* to, Part v) {
    const __m256i wide = _mm256_cvtps_epi32(v);
    const __m128i words =
        _mm_packs_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packs_epi16(words, words));
}

inline __m256 part_low(Part v) { return v; }
// Adds the lanes i and i + 8 that lie in this part: none here.
inline __m256 part_fold(Part v) { return v; }
inline __m256 part_fold_max(Part v) { return v; }

}  // namespace
}  // namespace gemlet

#include "kernels/vector/part_sums_x86.h"
