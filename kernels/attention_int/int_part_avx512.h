// A register of integers beside the floats of kernels/vector/part_avx512.h: 16 sums of 32 bits, 32
// codes of 16 bits. int_madd (sum + products of neighbouring codes) is the including file's own.
// Everything has internal linkage.
#pragma once

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

namespace gemlet {
namespace {

using IntPart = __m512i;
using IntSums = __m512i;
constexpr size_t kIntLanes = 16;
constexpr size_t kIntCodes = 32;
constexpr size_t kIntTileRows = 4;  // 4 x 4 sums with 8 loads for 16 products

inline IntSums int_zero() { return _mm512_setzero_si512(); }
inline IntPart int_load(const int16_t* from) { return _mm512_loadu_si512(from); }
inline IntPart int_load_once(const int16_t* from) { return int_load(from); }
inline void int_store(int16_t* to, IntPart v) { _mm512_storeu_si512(to, v); }
// The two codes at `from` in every 32 bits.
inline IntPart int_set_pair(const int16_t* from) {
    int32_t pair;
    memcpy(&pair, from, sizeof(pair));
    return _mm512_set1_epi32(pair);
}
// kIntCodes bytes, widened.
inline IntPart int_widen(const uint8_t* from) {
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}
// kIntLanes bytes of two rows, alternating, widened.
inline IntPart int_widen_pairs(const uint8_t* a, const uint8_t* b) {
    const __m128i even = _mm_loadu_si128(reinterpret_cast<const __m128i*>(a));
    const __m128i odd = _mm_loadu_si128(reinterpret_cast<const __m128i*>(b));
    const __m256i low = _mm256_castsi128_si256(_mm_unpacklo_epi8(even, odd));
    return _mm512_cvtepi8_epi16(_mm256_inserti128_si256(low, _mm_unpackhi_epi8(even, odd), 1));
}
inline Part int_to_part(IntSums v) { return _mm512_cvtepi32_ps(v); }
// The lanes of four registers added up, times `unit`.
inline Four int_sums_of_four(IntSums a, IntSums b, IntSums c, IntSums d, float unit) {
    const auto half = [](IntSums v) {
        return _mm256_add_epi32(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));
    };
    const __m256i ab = _mm256_hadd_epi32(half(a), half(b));
    const __m256i four = _mm256_hadd_epi32(ab, _mm256_hadd_epi32(half(c), half(d)));
    const __m128i sums =
        _mm_add_epi32(_mm256_castsi256_si128(four), _mm256_extracti128_si256(four, 1));
    return _mm_mul_ps(_mm_cvtepi32_ps(sums), _mm_set1_ps(unit));
}
// kPartLanes codes, rounded to nearest even.
inline void part_store_codes(int16_t* to, Part v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                        _mm512_cvtsepi32_epi16(_mm512_cvtps_epi32(v)));
}

}  // namespace
}  // namespace gemlet
