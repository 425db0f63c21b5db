// What AVX2 and AVX-512 parts have in common: the end of sums, and eight floats whatever the width
// of a part. Included by part_avx2.h and part_avx512.h; everything has internal linkage.
#pragma once

namespace gemlet {
namespace {

using Four = __m128;    // outputs side by side
using Eight = __m256;   // elements of a row
using Joined = __m256;  // a sum whose lanes i and i + 8 are added

inline void four_store(float* to, Four v) { _mm_storeu_ps(to, v); }

inline Eight eight_set(float v) { return _mm256_set1_ps(v); }
inline Eight eight_load(const float* from) { return _mm256_loadu_ps(from); }
inline Eight eight_load_f16(const void* from) {
    return _mm256_cvtph_ps(_mm_loadu_si128(static_cast<const __m128i*>(from)));
}
inline Eight eight_load_bf16(const void* from) {
    const __m128i bits = _mm_loadu_si128(static_cast<const __m128i*>(from));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}
inline void eight_store(float* to, Eight v) { _mm256_storeu_ps(to, v); }
inline Eight eight_clamp(Eight v, Eight low, Eight high) {
    return _mm256_min_ps(_mm256_max_ps(v, low), high);
}

// r[i][j] becomes r[j][i].
inline void transpose_eight(Eight (&r)[8]) {
    __m256 a[8];
    __m256 b[8];
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; ++i) {
        a[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        a[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
#pragma GCC unroll 2
    for (size_t i = 0; i < 8; i += 4) {
        b[i] = _mm256_shuffle_ps(a[i], a[i + 2], 0x44);
        b[i + 1] = _mm256_shuffle_ps(a[i], a[i + 2], 0xEE);
        b[i + 2] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0x44);
        b[i + 3] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0xEE);
    }
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; ++i) {
        r[i] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x20);
        r[i + 4] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x31);
    }
}

// The first level of the fixed tree: lane i += i + 8.
inline Joined join_parts(const Part* lanes) {
    const __m256 sum = part_fold(lanes[0]);
    return kParts == 2 ? _mm256_add_ps(sum, part_fold(lanes[kParts - 1])) : sum;
}

// The rest of the tree for four sums at once: lane i += i + 4, i + 2, i + 1 of each.
inline Four tree_of_four(Joined a, Joined b, Joined c, Joined d) {
    const __m128 a4 = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 b4 = _mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    const __m128 c4 = _mm_add_ps(_mm256_castps256_ps128(c), _mm256_extractf128_ps(c, 1));
    const __m128 d4 = _mm_add_ps(_mm256_castps256_ps128(d), _mm256_extractf128_ps(d, 1));
    const __m128 ab = _mm_add_ps(_mm_movelh_ps(a4, b4), _mm_movehl_ps(b4, a4));
    const __m128 cd = _mm_add_ps(_mm_movelh_ps(c4, d4), _mm_movehl_ps(d4, c4));
    return _mm_add_ps(_mm_shuffle_ps(ab, cd, 0x88), _mm_shuffle_ps(ab, cd, 0xDD));
}

// Sum of the 16 lanes in kParts parts by the fixed tree.
inline float part_tree(const Part* lanes) {
    const Joined sum = join_parts(lanes);
    return _mm_cvtss_f32(tree_of_four(sum, sum, sum, sum));
}

// Largest lane; lanes are not NaN.
inline float part_largest(Part v) {
    const __m256 eight = part_fold_max(v);
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
}

// Lane 0.
inline float part_first(Part v) { return _mm_cvtss_f32(_mm256_castps256_ps128(part_low(v))); }

}  // namespace
}  // namespace gemlet
