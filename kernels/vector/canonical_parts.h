// The canonical functions of kernels/vector/canonical.cpp on parts, and the sums over 16 lanes.
// Included after the part_<isa>.h of the file's instruction set; everything has internal linkage.
#pragma once

#include <math.h>
#include <string.h>

#include "kernels/vector/exp_constants.h"

namespace gemlet {
namespace {

// exp(x) = scale * (1 + less_one).
struct PartExp {
    Part scale;
    Part less_one;
};

inline PartExp part_split_exp(Part x) {
    const Part clamped =
        part_max(part_set(kExpLow), part_min(part_set(kExpHigh), x));  // NaN passes
    const Part shifted = part_fma(clamped, part_set(kLog2E), part_set(kRoundShift));
    const Part n = part_sub(shifted, part_set(kRoundShift));
    const Part near = part_fma(n, part_set(-kLn2High), clamped);
    const Part r = part_fma(n, part_set(-kLn2Low), near);
    Part q = part_set(kExpPoly[4]);
    q = part_fma(q, r, part_set(kExpPoly[3]));
    q = part_fma(q, r, part_set(kExpPoly[2]));
    q = part_fma(q, r, part_set(kExpPoly[1]));
    q = part_fma(q, r, part_set(kExpPoly[0]));
    return {part_power(shifted), part_fma(part_mul(r, r), q, r)};
}

inline Part part_exp(Part x) {
    const PartExp e = part_split_exp(x);
    return part_zero_below(part_fma(e.less_one, e.scale, e.scale), x, kExpLow);
}

inline Part part_tanh(Part x) {
    const PartExp e = part_split_exp(part_mul(part_set(-2.0F), part_abs(x)));
    const Part expm1 = part_fma(e.less_one, e.scale, part_sub(e.scale, part_set(1.0F)));
    // The sign of the quotient is replaced, so expm1 need not be negated.
    return part_copysign(part_div(expm1, part_add(part_set(2.0F), expm1)), x);
}

// The rest of the fixed tree for four sums at once: lane i += i + 4, i + 2, i + 1 of each.
inline __m128 tree_of_four(__m256 a, __m256 b, __m256 c, __m256 d) {
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
    __m256 sums = part_fold(lanes[0]);
    if (kParts == 2) sums = _mm256_add_ps(sums, part_fold(lanes[kParts - 1]));
    return _mm_cvtss_f32(tree_of_four(sums, sums, sums, sums));
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

// How many of the lanes of part `part` are among the first n of 16.
inline size_t lanes_in_part(size_t n, size_t part) {
    const size_t before = part * kPartLanes;
    if (n <= before) return 0;
    return n - before < kPartLanes ? n - before : kPartLanes;
}

}  // namespace
}  // namespace gemlet
