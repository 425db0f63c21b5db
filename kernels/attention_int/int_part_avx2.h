// A register of integers beside the floats of kernels/vector/part_avx2.h: 8 sums of 32 bits, 16
// codes of 16 bits. int_madd (sum + products of neighbouring codes) is the including file's own.
// Everything has internal linkage.
#pragma once

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

namespace gemlet {
namespace {

using IntPart = __m256i;
using IntSums = __m256i;
constexpr size_t kIntLanes = 8;
constexpr size_t kIntCodes = 16;
// 2 x 4 sums, two inputs, one weight and a product fit 16 registers, with 6 loads for 8 products.
constexpr size_t kIntTileRows = 2;

inline IntSums int_zero() { return _mm256_setzero_si256(); }
inline IntPart int_load(const int16_t* from) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}
// For a value used several times: g++ 12 would else load it again for each use.
inline IntPart int_load_once(const int16_t* from) {
    IntPart v = int_load(from);
    __asm__("" : "+x"(v));
    return v;
}
inline void int_store(int16_t* to, IntPart v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), v);
}
// The two codes at `from` in every 32 bits.
inline IntPart int_set_pair(const int16_t* from) {
    int32_t pair;
    memcpy(&pair, from, sizeof(pair));
    return _mm256_set1_epi32(pair);
}
// kIntCodes bytes, widened.
inline IntPart int_widen(const uint8_t* from) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}
// kIntLanes bytes of two rows, alternating, widened.
inline IntPart int_widen_pairs(const uint8_t* a, const uint8_t* b) {
    const __m128i low = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(a));
    const __m128i high = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(b));
    return _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(low, high));
}
inline Part int_to_part(IntSums v) { return _mm256_cvtepi32_ps(v); }
// The lanes of four registers added up, times `unit`.
inline Four int_sums_of_four(IntSums a, IntSums b, IntSums c, IntSums d, float unit) {
    const __m256i four = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
    const __m128i sums =
        _mm_add_epi32(_mm256_castsi256_si128(four), _mm256_extracti128_si256(four, 1));
    return _mm_mul_ps(_mm_cvtepi32_ps(sums), _mm_set1_ps(unit));
}
// kPartLanes codes, rounded to nearest even.
inline void part_store_codes(int16_t* to, Part v) {
    const __m256i wide = _mm256_cvtps_epi32(v);
    _mm_storeu_si128(
        reinterpret_cast<__m128i*>(to),
        _mm_packs_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1)));
}

}  // namespace
}  // namespace gemlet
