// Second part of tests/emulation/immintrin.h: comparisons, conversions, moves across 128-bit lanes,
// dot products and reductions. Included only from there.
#pragma once
#pragma GCC system_header

namespace gemlet {
namespace {

// Comparisons. The predicate is a template-like constant, so a switch stands for the instruction's
// immediate; NaN compares as C++ does, which is what the listed predicates say.
inline bool compare_floats(float a, float b, int predicate) {
    switch (predicate) {
        case _CMP_EQ_OQ:
            return a == b;
        case _CMP_LT_OQ:
        case _CMP_LT_OS:
            return a < b;
        case _CMP_LE_OQ:
        case _CMP_LE_OS:
            return a <= b;
        case _CMP_GT_OQ:
        case _CMP_GT_OS:
            return a > b;
        case _CMP_GE_OQ:
        case _CMP_GE_OS:
            return a >= b;
        case _CMP_NEQ_UQ:
            return !(a == b);
        case _CMP_NEQ_OQ:
            return a < b || a > b;
        case _CMP_UNORD_Q:
            return a != a || b != b;
        case _CMP_ORD_Q:
            return a == a && b == b;
        default:
            __builtin_trap();
    }
}
inline EmulatedMask16 _mm512_cmp_ps_mask(__m512 a, __m512 b, int predicate) {
    const auto x = lanes_of<float>(a);
    const auto y = lanes_of<float>(b);
    return mask_where<EmulatedMask16>(
        16, [&](size_t i) { return compare_floats(x.lane[i], y.lane[i], predicate); });
}
inline EmulatedMask16 _mm512_mask_cmp_ps_mask(EmulatedMask16 k, __m512 a, __m512 b, int predicate) {
    return static_cast<EmulatedMask16>(k & _mm512_cmp_ps_mask(a, b, predicate));
}
#define GEMLET_COMPARE(name, lane_type, n, op)                                              \
    inline __mmask##n name(__m512i a, __m512i b) {                                          \
        const auto x = lanes_of<lane_type>(a);                                              \
        const auto y = lanes_of<lane_type>(b);                                              \
        return mask_where<__mmask##n>(n, [&](size_t i) { return x.lane[i] op y.lane[i]; }); \
    }
GEMLET_COMPARE(_mm512_cmpeq_epi32_mask, int32_t, 16, ==)
GEMLET_COMPARE(_mm512_cmpneq_epi32_mask, int32_t, 16, !=)
GEMLET_COMPARE(_mm512_cmplt_epi32_mask, int32_t, 16, <)
GEMLET_COMPARE(_mm512_cmple_epi32_mask, int32_t, 16, <=)
GEMLET_COMPARE(_mm512_cmpgt_epi32_mask, int32_t, 16, >)
GEMLET_COMPARE(_mm512_cmpge_epi32_mask, int32_t, 16, >=)
GEMLET_COMPARE(_mm512_cmpeq_epi8_mask, int8_t, 64, ==)
GEMLET_COMPARE(_mm512_cmplt_epi8_mask, int8_t, 64, <)
GEMLET_COMPARE(_mm512_cmpgt_epi8_mask, int8_t, 64, >)
GEMLET_COMPARE(_mm512_cmpgt_epu8_mask, uint8_t, 64, >)
inline EmulatedMask64 _mm512_movepi8_mask(__m512i v) {
    return _mm512_cmplt_epi8_mask(v, _mm512_setzero_si512());
}
inline EmulatedMask16 _mm512_test_epi32_mask(__m512i a, __m512i b) {
    return _mm512_cmpneq_epi32_mask(_mm512_and_si512(a, b), _mm512_setzero_si512());
}
inline EmulatedMask64 _mm512_test_epi8_mask(__m512i a, __m512i b) {
    const auto both = lanes_of<int8_t>(_mm512_and_si512(a, b));
    return mask_where<EmulatedMask64>(64, [&](size_t i) { return both.lane[i] != 0; });
}
inline __m512i _mm512_movm_epi8(EmulatedMask64 k) {
    return pick<int8_t>(k, _mm512_setzero_si512(), _mm512_set1_epi8(-1));
}

// Conversions.
inline __m512 _mm512_abs_ps(__m512 v) {
    return _mm512_castsi512_ps(
        _mm512_and_si512(_mm512_castps_si512(v), _mm512_set1_epi32(0x7FFFFFFF)));
}
inline __m512i _mm512_cvtps_epi32(__m512 v) {
    return join_halves<__m512i>(_mm256_cvtps_epi32(half_of(v, 0)),
                                _mm256_cvtps_epi32(half_of(v, 1)));
}
inline __m512i _mm512_cvttps_epi32(__m512 v) {
    return join_halves<__m512i>(_mm256_cvttps_epi32(half_of(v, 0)),
                                _mm256_cvttps_epi32(half_of(v, 1)));
}
inline __m512 _mm512_cvtepi32_ps(__m512i v) {
    return join_halves<__m512>(_mm256_cvtepi32_ps(half_of(v, 0)),
                               _mm256_cvtepi32_ps(half_of(v, 1)));
}
inline __m512d _mm512_cvtps_pd(__m256 v) {
    return join_halves<__m512d>(_mm256_cvtps_pd(_mm256_castps256_ps128(v)),
                                _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1)));
}
inline __m512d _mm512_cvtepi32_pd(__m256i v) {
    return join_halves<__m512d>(_mm256_cvtepi32_pd(_mm256_castsi256_si128(v)),
                                _mm256_cvtepi32_pd(_mm256_extracti128_si256(v, 1)));
}
inline __m256 _mm512_cvtpd_ps(__m512d v) {
    return join_halves<__m256>(_mm256_cvtpd_ps(half_of(v, 0)), _mm256_cvtpd_ps(half_of(v, 1)));
}
inline __m512 _mm512_cvtph_ps(__m256i v) {
    return join_halves<__m512>(_mm256_cvtph_ps(_mm256_castsi256_si128(v)),
                               _mm256_cvtph_ps(_mm256_extracti128_si256(v, 1)));
}
// Only the default rounding (to nearest even), with or without the flag that silences exceptions.
inline __m256i _mm512_cvtps_ph(__m512 v, int) {
    return join_halves<__m256i>(_mm256_cvtps_ph(half_of(v, 0), _MM_FROUND_TO_NEAREST_INT),
                                _mm256_cvtps_ph(half_of(v, 1), _MM_FROUND_TO_NEAREST_INT));
}
// Scale 2^0 only: the upper four bits of the immediate must be zero, the lower ones name a mode.
inline __m512 _mm512_roundscale_ps(__m512 v, int mode) {
    switch (mode & ~_MM_FROUND_NO_EXC) {
        case _MM_FROUND_TO_NEAREST_INT:
        case _MM_FROUND_CUR_DIRECTION:
            return join_halves<__m512>(_mm256_round_ps(half_of(v, 0), _MM_FROUND_TO_NEAREST_INT),
                                       _mm256_round_ps(half_of(v, 1), _MM_FROUND_TO_NEAREST_INT));
        case _MM_FROUND_TO_NEG_INF:
            return join_halves<__m512>(_mm256_floor_ps(half_of(v, 0)),
                                       _mm256_floor_ps(half_of(v, 1)));
        default:
            __builtin_trap();
    }
}
// a * 2^floor(b); exact but for results outside the range of normal numbers.
inline __m512 _mm512_scalef_ps(__m512 a, __m512 b) {
    auto x = lanes_of<float>(a);
    const auto y = lanes_of<float>(b);
    for (size_t i = 0; i < x.kCount; ++i) {
        x.lane[i] = __builtin_ldexpf(x.lane[i], static_cast<int>(__builtin_floorf(y.lane[i])));
    }
    return bits_as<__m512>(x);
}
template <class From, class To, class Wide, class Narrow>
inline Wide widen(Narrow v) {
    const auto in = lanes_of<From>(v);
    Lanes<To, Wide> out;
    static_assert(in.kCount == out.kCount);
    for (size_t i = 0; i < out.kCount; ++i) out.lane[i] = static_cast<To>(in.lane[i]);
    return bits_as<Wide>(out);
}
inline __m512i _mm512_cvtepi8_epi16(__m256i v) { return widen<int8_t, int16_t, __m512i>(v); }
inline __m512i _mm512_cvtepu8_epi16(__m256i v) { return widen<uint8_t, uint16_t, __m512i>(v); }
inline __m512i _mm512_cvtepi16_epi32(__m256i v) { return widen<int16_t, int32_t, __m512i>(v); }
inline __m512i _mm512_cvtepu16_epi32(__m256i v) { return widen<uint16_t, uint32_t, __m512i>(v); }
inline __m512i _mm512_cvtepi8_epi32(__m128i v) { return widen<int8_t, int32_t, __m512i>(v); }
inline __m512i _mm512_cvtepu8_epi32(__m128i v) { return widen<uint8_t, uint32_t, __m512i>(v); }
inline __m512i _mm512_cvtepi32_epi64(__m256i v) { return widen<int32_t, int64_t, __m512i>(v); }
inline __m128i _mm512_cvtepi32_epi8(__m512i v) { return widen<int32_t, int8_t, __m128i>(v); }
inline __m256i _mm512_cvtepi32_epi16(__m512i v) { return widen<int32_t, int16_t, __m256i>(v); }
inline __m256i _mm512_cvtepi16_epi8(__m512i v) { return widen<int16_t, int8_t, __m256i>(v); }
inline __m256i _mm512_cvtepi64_epi32(__m512i v) { return widen<int64_t, int32_t, __m256i>(v); }
template <class From, class To, class Narrow>
inline Narrow narrow_saturating(__m512i v) {
    auto in = lanes_of<From>(v);
    constexpr From kLow = static_cast<From>(-(1 << (8 * sizeof(To) - 1)));
    constexpr From kHigh = static_cast<From>(-kLow - 1);
    for (From& lane : in.lane) lane = lane < kLow ? kLow : lane > kHigh ? kHigh : lane;
    return widen<From, To, Narrow>(bits_as<__m512i>(in));
}
inline __m128i _mm512_cvtsepi32_epi8(__m512i v) {
    return narrow_saturating<int32_t, int8_t, __m128i>(v);
}
inline __m256i _mm512_cvtsepi32_epi16(__m512i v) {
    return narrow_saturating<int32_t, int16_t, __m256i>(v);
}
inline __m256i _mm512_cvtsepi16_epi8(__m512i v) {
    return narrow_saturating<int16_t, int8_t, __m256i>(v);
}
inline void _mm512_mask_cvtepi32_storeu_epi8(void* to, EmulatedMask16 k, __m512i v) {
    store_masked<int8_t>(to, k, _mm512_cvtepi32_epi8(v));
}

// Moves across 128-bit lanes.
template <class Lane, class Vector>
inline Vector permute(Vector a, Vector b, Vector index) {
    const auto x = lanes_of<Lane>(a);
    const auto y = lanes_of<Lane>(b);
    auto at = lanes_of<Lane>(index);
    constexpr size_t kCount = decltype(x)::kCount;
    for (Lane& lane : at.lane) {
        const size_t from = static_cast<size_t>(lane) % (2 * kCount);
        lane = from < kCount ? x.lane[from] : y.lane[from - kCount];
    }
    return bits_as<Vector>(at);
}
inline __m512i _mm512_permutexvar_epi8(__m512i at, __m512i v) { return permute<uint8_t>(v, v, at); }
inline __m512i _mm512_permutexvar_epi16(__m512i at, __m512i v) {
    return permute<uint16_t>(v, v, at);
}
inline __m512i _mm512_permutexvar_epi32(__m512i at, __m512i v) {
    return permute<uint32_t>(v, v, at);
}
inline __m512i _mm512_permutexvar_epi64(__m512i at, __m512i v) {
    return permute<uint64_t>(v, v, at);
}
inline __m512 _mm512_permutexvar_ps(__m512i at, __m512 v) {
    return _mm512_castsi512_ps(_mm512_permutexvar_epi32(at, _mm512_castps_si512(v)));
}
inline __m512i _mm512_permutex2var_epi32(__m512i a, __m512i at, __m512i b) {
    return permute<uint32_t>(a, b, at);
}
inline __m512i _mm512_permutex2var_epi64(__m512i a, __m512i at, __m512i b) {
    return permute<uint64_t>(a, b, at);
}
inline __m512i _mm512_permutex2var_epi16(__m512i a, __m512i at, __m512i b) {
    return permute<uint16_t>(a, b, at);
}
inline __m512 _mm512_permutex2var_ps(__m512 a, __m512i at, __m512 b) {
    return _mm512_castsi512_ps(
        permute<uint32_t>(_mm512_castps_si512(a), _mm512_castps_si512(b), at));
}
struct Quarter {
    char bytes[16];
};
inline __m512i _mm512_shuffle_i32x4(__m512i a, __m512i b, int at) {
    const auto x = lanes_of<Quarter>(a);
    const auto y = lanes_of<Quarter>(b);
    const Lanes<Quarter, __m512i> out = {
        {x.lane[at & 3], x.lane[at >> 2 & 3], y.lane[at >> 4 & 3], y.lane[at >> 6 & 3]}};
    return bits_as<__m512i>(out);
}
inline __m512i _mm512_shuffle_i64x2(__m512i a, __m512i b, int at) {
    return _mm512_shuffle_i32x4(a, b, at);
}
inline __m512 _mm512_shuffle_f32x4(__m512 a, __m512 b, int at) {
    return _mm512_castsi512_ps(
        _mm512_shuffle_i32x4(_mm512_castps_si512(a), _mm512_castps_si512(b), at));
}
inline __m512i _mm512_shuffle_epi32(__m512i v, int at) {
    auto x = lanes_of<uint32_t>(v);
    const auto from = x;
    for (size_t i = 0; i < x.kCount; ++i) {
        x.lane[i] = from.lane[i / 4 * 4 + (static_cast<size_t>(at) >> (2 * (i % 4)) & 3U)];
    }
    return bits_as<__m512i>(x);
}
inline __m512 _mm512_permute_ps(__m512 v, int at) {
    return _mm512_castsi512_ps(_mm512_shuffle_epi32(_mm512_castps_si512(v), at));
}
inline __m512 _mm512_shuffle_ps(__m512 a, __m512 b, int at) {
    const auto x = lanes_of<float>(_mm512_permute_ps(a, at));
    auto y = lanes_of<float>(_mm512_permute_ps(b, at));
    for (size_t i = 0; i < y.kCount; ++i) {
        if (i % 4 < 2) y.lane[i] = x.lane[i];
    }
    return bits_as<__m512>(y);
}
inline __m256i _mm512_extracti64x4_epi64(__m512i v, int i) {
    return half_of(v, static_cast<size_t>(i));
}
inline __m256i _mm512_extracti32x8_epi32(__m512i v, int i) {
    return half_of(v, static_cast<size_t>(i));
}
inline __m256 _mm512_extractf32x8_ps(__m512 v, int i) { return half_of(v, static_cast<size_t>(i)); }
inline __m256d _mm512_extractf64x4_pd(__m512d v, int i) {
    return half_of(v, static_cast<size_t>(i));
}
inline __m128i _mm512_extracti32x4_epi32(__m512i v, int i) {
    return bits_as<__m128i>(lanes_of<Quarter>(v).lane[i]);
}
inline __m128 _mm512_extractf32x4_ps(__m512 v, int i) {
    return bits_as<__m128>(lanes_of<Quarter>(v).lane[i]);
}
inline __m512i _mm512_inserti64x4(__m512i v, __m256i part, int i) {
    return i == 0 ? join_halves<__m512i>(part, half_of(v, 1))
                  : join_halves<__m512i>(half_of(v, 0), part);
}
inline __m512i _mm512_inserti32x8(__m512i v, __m256i part, int i) {
    return _mm512_inserti64x4(v, part, i);
}
inline __m512 _mm512_insertf32x8(__m512 v, __m256 part, int i) {
    return i == 0 ? join_halves<__m512>(part, half_of(v, 1))
                  : join_halves<__m512>(half_of(v, 0), part);
}
inline __m512i _mm512_inserti32x4(__m512i v, __m128i part, int i) {
    auto all = lanes_of<Quarter>(v);
    all.lane[i] = bits_as<Quarter>(part);
    return bits_as<__m512i>(all);
}
inline __m512i _mm512_alignr_epi32(__m512i high, __m512i low, int count) {
    const auto x = lanes_of<uint32_t>(low);
    const auto y = lanes_of<uint32_t>(high);
    Lanes<uint32_t, __m512i> out;
    for (size_t i = 0; i < 16; ++i) {
        const size_t from = i + static_cast<size_t>(count & 15);
        out.lane[i] = from < 16 ? x.lane[from] : y.lane[from - 16];
    }
    return bits_as<__m512i>(out);
}
// Bit i of the result is bit (a_i b_i c_i) of the table.
inline __m512i _mm512_ternarylogic_epi32(__m512i a, __m512i b, __m512i c, int table) {
    auto x = lanes_of<uint64_t>(a);
    const auto y = lanes_of<uint64_t>(b);
    const auto z = lanes_of<uint64_t>(c);
    for (size_t i = 0; i < x.kCount; ++i) {
        uint64_t out = 0;
        for (unsigned entry = 0; entry < 8; ++entry) {
            if ((static_cast<unsigned>(table) >> entry & 1U) == 0) continue;
            out |= ((entry & 4U) != 0 ? x.lane[i] : ~x.lane[i]) &
                   ((entry & 2U) != 0 ? y.lane[i] : ~y.lane[i]) &
                   ((entry & 1U) != 0 ? z.lane[i] : ~z.lane[i]);
        }
        x.lane[i] = out;
    }
    return bits_as<__m512i>(x);
}

// Dot products (VNNI, not saturating: sums wrap). Not inlined: kernels name them by the hundred,
// and compiling them would take minutes.
template <class Vector>
__attribute__((noinline)) Vector dot_u8_i8(Vector sum, Vector a, Vector b) {
    auto out = lanes_of<uint32_t>(sum);
    const auto x = lanes_of<uint8_t>(a);
    const auto y = lanes_of<int8_t>(b);
    for (size_t i = 0; i < x.kCount; ++i) {
        out.lane[i / 4] += static_cast<uint32_t>(x.lane[i] * y.lane[i]);
    }
    return bits_as<Vector>(out);
}
inline __m512i _mm512_dpbusd_epi32(__m512i sum, __m512i a, __m512i b) {
    return dot_u8_i8(sum, a, b);
}
inline __m256i _mm256_dpbusd_epi32(__m256i sum, __m256i a, __m256i b) {
    return dot_u8_i8(sum, a, b);
}
inline __m256i _mm256_dpbusd_avx_epi32(__m256i sum, __m256i a, __m256i b) {
    return dot_u8_i8(sum, a, b);
}
inline __m256i _mm256_dpwssd_avx_epi32(__m256i sum, __m256i a, __m256i b) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
}
inline __m512i _mm512_dpwssd_epi32(__m512i sum, __m512i a, __m512i b) {
    return _mm512_add_epi32(sum, _mm512_madd_epi16(a, b));
}

// Reductions: halves are folded, the order of GCC's own sequences.
template <class Lane, class Vector, class Fold>
inline Lane reduce(Vector v, Fold fold) {
    auto x = lanes_of<Lane>(v);
    for (size_t half = x.kCount / 2; half > 0; half /= 2) {
        for (size_t i = 0; i < half; ++i) x.lane[i] = fold(x.lane[i], x.lane[i + half]);
    }
    return x.lane[0];
}
inline int _mm512_reduce_add_epi32(__m512i v) {
    return static_cast<int>(reduce<uint32_t>(v, [](uint32_t a, uint32_t b) { return a + b; }));
}
inline int _mm512_reduce_max_epi32(__m512i v) {
    return reduce<int32_t>(v, [](int32_t a, int32_t b) { return a > b ? a : b; });
}
inline float _mm512_reduce_add_ps(__m512 v) {
    return reduce<float>(v, [](float a, float b) { return a + b; });
}
inline float _mm512_reduce_max_ps(__m512 v) {
    return reduce<float>(v, [](float a, float b) { return a > b ? a : b; });
}
inline int _mm512_cvtsi512_si32(__m512i v) { return lanes_of<int32_t>(v).lane[0]; }
inline float _mm512_cvtss_f32(__m512 v) { return lanes_of<float>(v).lane[0]; }

}  // namespace
}  // namespace gemlet
