// A part is one register of floats; one AVX-512 part holds the 16 lanes of the canonical
// arithmetic. The same names as in part_avx2.h. Included by files built for AVX-512 only;
// everything has internal linkage.
#pragma once

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

namespace gemlet {
namespace {

using Part = __m512;
constexpr size_t kPartLanes = 16;
constexpr size_t kParts = 1;
constexpr size_t kTileRows = 4;  // 4 x 4 sums hide the latency of two multipliers

inline Part part_zero() { return _mm512_setzero_ps(); }
inline Part part_set(float v) { return _mm512_set1_ps(v); }
inline Part part_add(Part a, Part b) { return _mm512_add_ps(a, b); }
inline Part part_sub(Part a, Part b) { return _mm512_sub_ps(a, b); }
inline Part part_mul(Part a, Part b) { return _mm512_mul_ps(a, b); }
inline Part part_div(Part a, Part b) { return _mm512_div_ps(a, b); }
// a * b + c and a * b - c, rounded once.
inline Part part_fma(Part a, Part b, Part c) { return _mm512_fmadd_ps(a, b, c); }
inline Part part_fms(Part a, Part b, Part c) { return _mm512_fmsub_ps(a, b, c); }
// The second operand if either is NaN.
inline Part part_max(Part a, Part b) { return _mm512_max_ps(a, b); }
inline Part part_min(Part a, Part b) { return _mm512_min_ps(a, b); }

inline Part part_abs(Part v) { return _mm512_abs_ps(v); }
inline Part part_copysign(Part magnitude, Part sign) {
    const __m512i bit = _mm512_set1_epi32(INT32_MIN);
    const __m512i kept = _mm512_andnot_si512(bit, _mm512_castps_si512(magnitude));
    return _mm512_castsi512_ps(
        _mm512_or_si512(kept, _mm512_and_si512(bit, _mm512_castps_si512(sign))));
}
// v, or 0 where x < bound.
inline Part part_zero_below(Part v, Part x, float bound) {
    const __mmask16 below = _mm512_cmp_ps_mask(x, _mm512_set1_ps(bound), _CMP_LT_OQ);
    return _mm512_mask_mov_ps(v, below, _mm512_setzero_ps());
}
// 2^n from a sum whose low mantissa bits hold n (kernels/vector/canonical.cpp).
inline Part part_power(Part shifted) {
    const __m512i exponent = _mm512_slli_epi32(_mm512_castps_si512(shifted), 23);
    return _mm512_castsi512_ps(_mm512_add_epi32(exponent, _mm512_set1_epi32(0x3F800000)));
}
// Lanes below n, for any n.
inline __mmask16 part_lanes_below(int n) {
    const unsigned bits = n <= 0 ? 0U : n >= 16 ? 0xFFFFU : (1U << static_cast<unsigned>(n)) - 1U;
    return static_cast<__mmask16>(bits);
}
// v in lanes begin <= lane < end, other elsewhere.
inline Part part_in_range(Part v, Part other, int begin, int end) {
    const unsigned inside = part_lanes_below(end) & ~static_cast<unsigned>(part_lanes_below(begin));
    return _mm512_mask_mov_ps(other, static_cast<__mmask16>(inside), v);
}

inline __mmask16 part_first_lanes(size_t n) { return part_lanes_below(static_cast<int>(n)); }
inline Part part_load(const float* from) { return _mm512_loadu_ps(from); }
inline void part_store(float* to, Part v) { _mm512_storeu_ps(to, v); }
// The first n lanes, n <= kPartLanes; the others read as 0 and are not stored. Memory behind the
// first n is not touched.
inline Part part_load_first(const float* from, size_t n) {
    return _mm512_maskz_loadu_ps(part_first_lanes(n), from);
}
inline void part_store_first(float* to, Part v, size_t n) {
    _mm512_mask_storeu_ps(to, part_first_lanes(n), v);
}
inline Part part_load_f16(const void* from) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i*>(from)));
}
inline Part part_load_bf16(const void* from) {
    const __m256i bits = _mm256_loadu_si256(static_cast<const __m256i*>(from));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}
inline Part part_load_i8(const void* from) {
    const __m128i codes = _mm_loadu_si128(static_cast<const __m128i*>(from));
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(codes));
}
inline void part_store_f16(uint16_t* to, Part v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                        _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}
// Rounds to nearest even; the values lie in -128 .. 127.
inline void part_store_i8(int8_t* to, Part v) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(v)));
}

inline __m256 part_low(Part v) { return _mm512_castps512_ps256(v); }
inline __m256 part_high(Part v) {
    return _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(v), 1));
}
// Adds the lanes i and i + 8 that lie in this part.
inline __m256 part_fold(Part v) { return _mm256_add_ps(part_low(v), part_high(v)); }
inline __m256 part_fold_max(Part v) { return _mm256_max_ps(part_low(v), part_high(v)); }

}  // namespace
}  // namespace gemlet

#include "kernels/vector/part_sums_x86.h"
