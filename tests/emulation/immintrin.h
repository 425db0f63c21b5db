// Stands in for the compiler's <immintrin.h> when AVX-512 kernels are built for tests on machines
// without AVX-512. Every intrinsic is written with AVX2 halves or plain loops, from Intel's
// description of it.
//
// The functions live in gemlet's anonymous namespace, where unqualified lookup from a kernel finds
// them before the real ones in the global namespace. An intrinsic missing here is therefore a
// compile error ("target specific option mismatch"), never a silent use of the real instruction.
#pragma once
#pragma GCC system_header  // for #include_next

#include_next <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#undef _mm256_dpbusd_avx_epi32
#undef _mm256_dpwssd_avx_epi32
#undef _mm256_dpbusd_epi32  // a macro in g++, because two instruction sets have it

namespace gemlet {
namespace {

using EmulatedMask8 = __mmask8;
using EmulatedMask16 = __mmask16;
using EmulatedMask32 = __mmask32;
using EmulatedMask64 = __mmask64;

// Parts of a 512-bit register.
inline __m256i half_of(__m512i v, size_t i) {
    __m256i part;
    memcpy(&part, reinterpret_cast<const char*>(&v) + i * sizeof(part), sizeof(part));
    return part;
}
inline __m256 half_of(__m512 v, size_t i) {
    __m256 part;
    memcpy(&part, reinterpret_cast<const char*>(&v) + i * sizeof(part), sizeof(part));
    return part;
}
inline __m256d half_of(__m512d v, size_t i) {
    __m256d part;
    memcpy(&part, reinterpret_cast<const char*>(&v) + i * sizeof(part), sizeof(part));
    return part;
}
template <class To, class Half>
inline To join_halves(Half low, Half high) {
    To all;
    static_assert(sizeof(all) == sizeof(low) + sizeof(high));
    memcpy(&all, &low, sizeof(low));
    memcpy(reinterpret_cast<char*>(&all) + sizeof(low), &high, sizeof(high));
    return all;
}
template <class To, class From>
inline To bits_as(From from) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    memcpy(&to, &from, sizeof(to));
    return to;
}
template <class Lane, class Vector>
struct Lanes {
    static constexpr size_t kCount = sizeof(Vector) / sizeof(Lane);
    Lane lane[kCount];
};
template <class Lane, class Vector>
inline Lanes<Lane, Vector> lanes_of(Vector v) {
    return bits_as<Lanes<Lane, Vector>>(v);
}
template <class Mask>
inline bool mask_bit(Mask mask, size_t i) {
    return (static_cast<uint64_t>(mask) >> i & 1U) != 0;
}
// Lane i is `yes` where mask bit i is set, else `no`.
template <class Lane, class Vector, class Mask>
inline Vector pick(Mask mask, Vector no, Vector yes) {
    auto out = lanes_of<Lane>(no);
    const auto set = lanes_of<Lane>(yes);
    for (size_t i = 0; i < out.kCount; ++i) {
        if (mask_bit(mask, i)) out.lane[i] = set.lane[i];
    }
    return bits_as<Vector>(out);
}
// Touches only the bytes of lanes whose mask bit is set, as the instruction does.
template <class Lane, class Vector, class Mask>
inline Vector load_masked(Vector no, Mask mask, const void* from) {
    auto out = lanes_of<Lane>(no);
    for (size_t i = 0; i < out.kCount; ++i) {
        if (!mask_bit(mask, i)) continue;
        memcpy(&out.lane[i], static_cast<const char*>(from) + i * sizeof(Lane), sizeof(Lane));
    }
    return bits_as<Vector>(out);
}
template <class Lane, class Vector, class Mask>
inline void store_masked(void* to, Mask mask, Vector v) {
    const auto from = lanes_of<Lane>(v);
    for (size_t i = 0; i < from.kCount; ++i) {
        if (!mask_bit(mask, i)) continue;
        memcpy(static_cast<char*>(to) + i * sizeof(Lane), &from.lane[i], sizeof(Lane));
    }
}
template <class Mask, class Compare>
inline Mask mask_where(size_t n, Compare compare) {
    uint64_t mask = 0;
    for (size_t i = 0; i < n; ++i) mask |= static_cast<uint64_t>(compare(i)) << i;
    return static_cast<Mask>(mask);
}

// Operations that are the AVX2 one on each half: element-wise, or inside 128-bit lanes.
#define GEMLET_HALVES_1(type, name512, name256)                                   \
    inline type name512(type a) {                                                 \
        return join_halves<type>(name256(half_of(a, 0)), name256(half_of(a, 1))); \
    }
#define GEMLET_HALVES_2(type, name512, name256)                          \
    inline type name512(type a, type b) {                                \
        return join_halves<type>(name256(half_of(a, 0), half_of(b, 0)),  \
                                 name256(half_of(a, 1), half_of(b, 1))); \
    }
#define GEMLET_HALVES_3(type, name512, name256)                                         \
    inline type name512(type a, type b, type c) {                                       \
        return join_halves<type>(name256(half_of(a, 0), half_of(b, 0), half_of(c, 0)),  \
                                 name256(half_of(a, 1), half_of(b, 1), half_of(c, 1))); \
    }
#define GEMLET_HALVES_COUNT(name512, name256)                                              \
    inline __m512i name512(__m512i a, unsigned count) {                                    \
        const int n = static_cast<int>(count);                                             \
        return join_halves<__m512i>(name256(half_of(a, 0), n), name256(half_of(a, 1), n)); \
    }
#define GEMLET_INTEGER_2(op) GEMLET_HALVES_2(__m512i, _mm512_##op, _mm256_##op)
#define GEMLET_INTEGER_1(op) GEMLET_HALVES_1(__m512i, _mm512_##op, _mm256_##op)
#define GEMLET_FLOAT_2(op)                                      \
    GEMLET_HALVES_2(__m512, _mm512_##op##_ps, _mm256_##op##_ps) \
    GEMLET_HALVES_2(__m512d, _mm512_##op##_pd, _mm256_##op##_pd)
#define GEMLET_FLOAT_3(op)                                      \
    GEMLET_HALVES_3(__m512, _mm512_##op##_ps, _mm256_##op##_ps) \
    GEMLET_HALVES_3(__m512d, _mm512_##op##_pd, _mm256_##op##_pd)

GEMLET_INTEGER_2(add_epi8)
GEMLET_INTEGER_2(add_epi16)
GEMLET_INTEGER_2(add_epi32)
GEMLET_INTEGER_2(add_epi64)
GEMLET_INTEGER_2(sub_epi8)
GEMLET_INTEGER_2(sub_epi16)
GEMLET_INTEGER_2(sub_epi32)
GEMLET_INTEGER_2(sub_epi64)
GEMLET_INTEGER_2(adds_epi16)
GEMLET_INTEGER_2(subs_epu8)
GEMLET_INTEGER_2(mullo_epi16)
GEMLET_INTEGER_2(mullo_epi32)
GEMLET_INTEGER_2(mul_epi32)
GEMLET_INTEGER_2(mul_epu32)
GEMLET_INTEGER_2(madd_epi16)
GEMLET_INTEGER_2(maddubs_epi16)
GEMLET_INTEGER_2(sad_epu8)
GEMLET_INTEGER_2(max_epi8)
GEMLET_INTEGER_2(min_epi8)
GEMLET_INTEGER_2(max_epu8)
GEMLET_INTEGER_2(min_epu8)
GEMLET_INTEGER_2(max_epi16)
GEMLET_INTEGER_2(min_epi16)
GEMLET_INTEGER_2(max_epi32)
GEMLET_INTEGER_2(min_epi32)
GEMLET_INTEGER_2(shuffle_epi8)
GEMLET_INTEGER_2(unpacklo_epi8)
GEMLET_INTEGER_2(unpackhi_epi8)
GEMLET_INTEGER_2(unpacklo_epi16)
GEMLET_INTEGER_2(unpackhi_epi16)
GEMLET_INTEGER_2(unpacklo_epi32)
GEMLET_INTEGER_2(unpackhi_epi32)
GEMLET_INTEGER_2(unpacklo_epi64)
GEMLET_INTEGER_2(unpackhi_epi64)
GEMLET_INTEGER_2(packs_epi32)
GEMLET_INTEGER_2(packs_epi16)
GEMLET_INTEGER_2(packus_epi16)
GEMLET_INTEGER_2(sllv_epi32)
GEMLET_INTEGER_2(srlv_epi32)
GEMLET_INTEGER_2(srav_epi32)
GEMLET_INTEGER_2(sllv_epi64)
GEMLET_INTEGER_2(srlv_epi64)
GEMLET_INTEGER_1(abs_epi8)
GEMLET_INTEGER_1(abs_epi16)
GEMLET_INTEGER_1(abs_epi32)
GEMLET_HALVES_COUNT(_mm512_slli_epi16, _mm256_slli_epi16)
GEMLET_HALVES_COUNT(_mm512_slli_epi32, _mm256_slli_epi32)
GEMLET_HALVES_COUNT(_mm512_slli_epi64, _mm256_slli_epi64)
GEMLET_HALVES_COUNT(_mm512_srli_epi16, _mm256_srli_epi16)
GEMLET_HALVES_COUNT(_mm512_srli_epi32, _mm256_srli_epi32)
GEMLET_HALVES_COUNT(_mm512_srli_epi64, _mm256_srli_epi64)
GEMLET_HALVES_COUNT(_mm512_srai_epi16, _mm256_srai_epi16)
GEMLET_HALVES_COUNT(_mm512_srai_epi32, _mm256_srai_epi32)
GEMLET_FLOAT_2(add)
GEMLET_FLOAT_2(sub)
GEMLET_FLOAT_2(mul)
GEMLET_FLOAT_2(div)
GEMLET_FLOAT_2(max)
GEMLET_FLOAT_2(min)
GEMLET_FLOAT_2(and)
GEMLET_FLOAT_2(or)
GEMLET_FLOAT_2(xor)
GEMLET_FLOAT_2(andnot)
GEMLET_FLOAT_2(unpacklo)
GEMLET_FLOAT_2(unpackhi)
GEMLET_FLOAT_3(fmadd)
GEMLET_FLOAT_3(fmsub)
GEMLET_FLOAT_3(fnmadd)
GEMLET_FLOAT_3(fnmsub)
GEMLET_HALVES_1(__m512, _mm512_sqrt_ps, _mm256_sqrt_ps)
GEMLET_HALVES_1(__m512d, _mm512_sqrt_pd, _mm256_sqrt_pd)

#define GEMLET_BITWISE(op)                                                                         \
    GEMLET_HALVES_2(__m512i, _mm512_##op##_si512, _mm256_##op##_si256)                             \
    inline __m512i _mm512_##op##_epi32(__m512i a, __m512i b) { return _mm512_##op##_si512(a, b); } \
    inline __m512i _mm512_##op##_epi64(__m512i a, __m512i b) { return _mm512_##op##_si512(a, b); }
GEMLET_BITWISE(and)
GEMLET_BITWISE(or)
GEMLET_BITWISE(xor)
GEMLET_BITWISE(andnot)

// Casts, constants, plain loads and stores.
inline __m512i _mm512_castps_si512(__m512 v) { return bits_as<__m512i>(v); }
inline __m512 _mm512_castsi512_ps(__m512i v) { return bits_as<__m512>(v); }
inline __m512i _mm512_castpd_si512(__m512d v) { return bits_as<__m512i>(v); }
inline __m512d _mm512_castsi512_pd(__m512i v) { return bits_as<__m512d>(v); }
inline __m512d _mm512_castps_pd(__m512 v) { return bits_as<__m512d>(v); }
inline __m512 _mm512_castpd_ps(__m512d v) { return bits_as<__m512>(v); }
inline __m256i _mm512_castsi512_si256(__m512i v) { return half_of(v, 0); }
inline __m256 _mm512_castps512_ps256(__m512 v) { return half_of(v, 0); }
inline __m256d _mm512_castpd512_pd256(__m512d v) { return half_of(v, 0); }
inline __m128i _mm512_castsi512_si128(__m512i v) { return _mm256_castsi256_si128(half_of(v, 0)); }
inline __m128 _mm512_castps512_ps128(__m512 v) { return _mm256_castps256_ps128(half_of(v, 0)); }
// The upper half is undefined in the instruction set; ones show who relies on it.
inline __m512i _mm512_castsi256_si512(__m256i v) {
    return join_halves<__m512i>(v, _mm256_set1_epi8(-1));
}
inline __m512 _mm512_castps256_ps512(__m256 v) {
    return join_halves<__m512>(v, _mm256_castsi256_ps(_mm256_set1_epi8(-1)));
}
inline __m512i _mm512_zextsi128_si512(__m128i v) {
    return join_halves<__m512i>(_mm256_zextsi128_si256(v), _mm256_setzero_si256());
}
inline __m512i _mm512_zextsi256_si512(__m256i v) {
    return join_halves<__m512i>(v, _mm256_setzero_si256());
}

#define GEMLET_SET1(type, name512, name256, lane) \
    inline type name512(lane v) { return join_halves<type>(name256(v), name256(v)); }
GEMLET_SET1(__m512i, _mm512_set1_epi8, _mm256_set1_epi8, char)
GEMLET_SET1(__m512i, _mm512_set1_epi16, _mm256_set1_epi16, short)
GEMLET_SET1(__m512i, _mm512_set1_epi32, _mm256_set1_epi32, int)
GEMLET_SET1(__m512i, _mm512_set1_epi64, _mm256_set1_epi64x, long long)
GEMLET_SET1(__m512, _mm512_set1_ps, _mm256_set1_ps, float)
GEMLET_SET1(__m512d, _mm512_set1_pd, _mm256_set1_pd, double)
GEMLET_SET1(__m512i, _mm512_broadcastd_epi32, _mm256_broadcastd_epi32, __m128i)
GEMLET_SET1(__m512i, _mm512_broadcastb_epi8, _mm256_broadcastb_epi8, __m128i)
GEMLET_SET1(__m512i, _mm512_broadcastw_epi16, _mm256_broadcastw_epi16, __m128i)
GEMLET_SET1(__m512, _mm512_broadcastss_ps, _mm256_broadcastss_ps, __m128)
GEMLET_SET1(__m512i, _mm512_broadcast_i32x4, _mm256_broadcastsi128_si256, __m128i)
inline __m512i _mm512_broadcast_i64x4(__m256i v) { return join_halves<__m512i>(v, v); }
inline __m512i _mm512_broadcast_i32x8(__m256i v) { return join_halves<__m512i>(v, v); }
inline __m512 _mm512_broadcast_f32x8(__m256 v) { return join_halves<__m512>(v, v); }
inline __m512 _mm512_broadcast_f32x4(__m128 v) {
    return _mm512_castsi512_ps(_mm512_broadcast_i32x4(_mm_castps_si128(v)));
}
inline __m512i _mm512_setzero_si512() { return _mm512_set1_epi32(0); }
inline __m512 _mm512_setzero_ps() { return _mm512_set1_ps(0.0F); }
inline __m512d _mm512_setzero_pd() { return _mm512_set1_pd(0.0); }
// The real header's _mm512_setr_* are macros that reverse their arguments and call these.
inline __m512i _mm512_set_epi32(int p, int o, int n, int m, int l, int k, int j, int i, int h,
                                int g, int f, int e, int d, int c, int b, int a) {
    return join_halves<__m512i>(_mm256_setr_epi32(a, b, c, d, e, f, g, h),
                                _mm256_setr_epi32(i, j, k, l, m, n, o, p));
}
inline __m512i _mm512_set_epi64(long long h, long long g, long long f, long long e, long long d,
                                long long c, long long b, long long a) {
    return join_halves<__m512i>(_mm256_setr_epi64x(a, b, c, d), _mm256_setr_epi64x(e, f, g, h));
}
inline __m512 _mm512_set_ps(float p, float o, float n, float m, float l, float k, float j, float i,
                            float h, float g, float f, float e, float d, float c, float b,
                            float a) {
    return join_halves<__m512>(_mm256_setr_ps(a, b, c, d, e, f, g, h),
                               _mm256_setr_ps(i, j, k, l, m, n, o, p));
}

#define GEMLET_LOAD_STORE(type, suffix)                   \
    inline type _mm512_loadu_##suffix(const void* from) { \
        type v;                                           \
        memcpy(&v, from, sizeof(v));                      \
        return v;                                         \
    }                                                     \
    inline void _mm512_storeu_##suffix(void* to, type v) { memcpy(to, &v, sizeof(v)); }
// The aligned forms trap on a misaligned address, as the instructions do.
#define GEMLET_LOAD_STORE_ALIGNED(type, suffix)                                      \
    inline type _mm512_load_##suffix(const void* from) {                             \
        if (reinterpret_cast<uintptr_t>(from) % sizeof(type) != 0) __builtin_trap(); \
        return _mm512_loadu_##suffix(from);                                          \
    }                                                                                \
    inline void _mm512_store_##suffix(void* to, type v) {                            \
        if (reinterpret_cast<uintptr_t>(to) % sizeof(type) != 0) __builtin_trap();   \
        _mm512_storeu_##suffix(to, v);                                               \
    }
GEMLET_LOAD_STORE(__m512i, si512)
GEMLET_LOAD_STORE(__m512i, epi8)
GEMLET_LOAD_STORE(__m512i, epi16)
GEMLET_LOAD_STORE(__m512i, epi32)
GEMLET_LOAD_STORE(__m512i, epi64)
GEMLET_LOAD_STORE(__m512, ps)
GEMLET_LOAD_STORE(__m512d, pd)
GEMLET_LOAD_STORE_ALIGNED(__m512i, si512)
GEMLET_LOAD_STORE_ALIGNED(__m512i, epi32)
GEMLET_LOAD_STORE_ALIGNED(__m512, ps)
GEMLET_LOAD_STORE_ALIGNED(__m512d, pd)

// Masked loads, stores, blends and arithmetic, in all three widths.
#define GEMLET_MASKED_MEMORY(prefix, type, suffix, lane, mask, zero)              \
    inline type prefix##_maskz_loadu_##suffix(mask k, const void* from) {         \
        return load_masked<lane>(zero, k, from);                                  \
    }                                                                             \
    inline type prefix##_mask_loadu_##suffix(type no, mask k, const void* from) { \
        return load_masked<lane>(no, k, from);                                    \
    }                                                                             \
    inline void prefix##_mask_storeu_##suffix(void* to, mask k, type v) {         \
        store_masked<lane>(to, k, v);                                             \
    }
GEMLET_MASKED_MEMORY(_mm512, __m512i, epi8, int8_t, EmulatedMask64, _mm512_setzero_si512())
GEMLET_MASKED_MEMORY(_mm512, __m512i, epi16, int16_t, EmulatedMask32, _mm512_setzero_si512())
GEMLET_MASKED_MEMORY(_mm512, __m512i, epi32, int32_t, EmulatedMask16, _mm512_setzero_si512())
GEMLET_MASKED_MEMORY(_mm512, __m512i, epi64, int64_t, EmulatedMask8, _mm512_setzero_si512())
GEMLET_MASKED_MEMORY(_mm512, __m512, ps, float, EmulatedMask16, _mm512_setzero_ps())
GEMLET_MASKED_MEMORY(_mm256, __m256i, epi8, int8_t, EmulatedMask32, _mm256_setzero_si256())
GEMLET_MASKED_MEMORY(_mm256, __m256i, epi16, int16_t, EmulatedMask16, _mm256_setzero_si256())
GEMLET_MASKED_MEMORY(_mm256, __m256i, epi32, int32_t, EmulatedMask8, _mm256_setzero_si256())
GEMLET_MASKED_MEMORY(_mm256, __m256, ps, float, EmulatedMask8, _mm256_setzero_ps())
GEMLET_MASKED_MEMORY(_mm, __m128i, epi8, int8_t, EmulatedMask16, _mm_setzero_si128())
GEMLET_MASKED_MEMORY(_mm, __m128i, epi16, int16_t, EmulatedMask8, _mm_setzero_si128())
GEMLET_MASKED_MEMORY(_mm, __m128i, epi32, int32_t, EmulatedMask8, _mm_setzero_si128())
GEMLET_MASKED_MEMORY(_mm, __m128, ps, float, EmulatedMask8, _mm_setzero_ps())

#define GEMLET_MASKED_MOVE(type, suffix, lane, mask, zero)              \
    inline type _mm512_mask_blend_##suffix(mask k, type no, type yes) { \
        return pick<lane>(k, no, yes);                                  \
    }                                                                   \
    inline type _mm512_mask_mov_##suffix(type no, mask k, type yes) {   \
        return pick<lane>(k, no, yes);                                  \
    }                                                                   \
    inline type _mm512_maskz_mov_##suffix(mask k, type yes) { return pick<lane>(k, zero, yes); }
GEMLET_MASKED_MOVE(__m512i, epi8, int8_t, EmulatedMask64, _mm512_setzero_si512())
GEMLET_MASKED_MOVE(__m512i, epi16, int16_t, EmulatedMask32, _mm512_setzero_si512())
GEMLET_MASKED_MOVE(__m512i, epi32, int32_t, EmulatedMask16, _mm512_setzero_si512())
GEMLET_MASKED_MOVE(__m512, ps, float, EmulatedMask16, _mm512_setzero_ps())

#define GEMLET_MASKED_2(type, suffix, op, lane, mask, zero)                    \
    inline type _mm512_mask_##op##_##suffix(type no, mask k, type a, type b) { \
        return pick<lane>(k, no, _mm512_##op##_##suffix(a, b));                \
    }                                                                          \
    inline type _mm512_maskz_##op##_##suffix(mask k, type a, type b) {         \
        return pick<lane>(k, zero, _mm512_##op##_##suffix(a, b));              \
    }
#define GEMLET_MASKED_PS(op) \
    GEMLET_MASKED_2(__m512, ps, op, float, EmulatedMask16, _mm512_setzero_ps())
#define GEMLET_MASKED_EPI32(op) \
    GEMLET_MASKED_2(__m512i, epi32, op, int32_t, EmulatedMask16, _mm512_setzero_si512())
#define GEMLET_MASKED_EPI8(op) \
    GEMLET_MASKED_2(__m512i, epi8, op, int8_t, EmulatedMask64, _mm512_setzero_si512())
GEMLET_MASKED_PS(add)
GEMLET_MASKED_PS(sub)
GEMLET_MASKED_PS(mul)
GEMLET_MASKED_PS(div)
GEMLET_MASKED_PS(max)
GEMLET_MASKED_PS(min)
GEMLET_MASKED_PS(xor)
GEMLET_MASKED_EPI32(add)
GEMLET_MASKED_EPI32(sub)
GEMLET_MASKED_EPI32(and)
GEMLET_MASKED_EPI8(add)
GEMLET_MASKED_EPI8(sub)
inline __m512 _mm512_mask_fmadd_ps(__m512 a, EmulatedMask16 k, __m512 b, __m512 c) {
    return pick<float>(k, a, _mm512_fmadd_ps(a, b, c));
}
inline __m512 _mm512_mask3_fmadd_ps(__m512 a, __m512 b, __m512 c, EmulatedMask16 k) {
    return pick<float>(k, c, _mm512_fmadd_ps(a, b, c));
}
inline __m512 _mm512_maskz_fmadd_ps(EmulatedMask16 k, __m512 a, __m512 b, __m512 c) {
    return pick<float>(k, _mm512_setzero_ps(), _mm512_fmadd_ps(a, b, c));
}

}  // namespace
}  // namespace gemlet

// The rest: comparisons, conversions, moves across lanes, dot products, reductions.
#include "tests/emulation/avx512_moves.h"
// AMX.
#include "tests/emulation/amx_tiles.h"
