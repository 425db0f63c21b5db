// Quantises activations with AVX2. Included by ISA files only: everything is in an anonymous
// namespace. The operand order of min and max makes NaN fall as in the scalar variant.
#pragma once

#include "kernels/matmul_block/block_loaders_avx2.h"
#include "kernels/matmul_block/matmul_block.h"

namespace gemlet {
namespace {

inline float largest_of(__m256 v) {
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

// 32 columns to codes, their scale and the sums of both halves.
inline void pack_group(const float* x, int8_t* codes, float* scale, int16_t* sums) {
    __m256 v[4];
    __m256 largest = _mm256_setzero_ps();
    for (int i = 0; i < 4; ++i) {
        v[i] = _mm256_loadu_ps(x + 8 * i);
        largest = _mm256_max_ps(_mm256_andnot_ps(_mm256_set1_ps(-0.0F), v[i]), largest);
    }
    *scale = largest_of(largest) / 127.0F;
    const __m256 divisor = _mm256_set1_ps(*scale);
    const __m256 nonzero = _mm256_cmp_ps(divisor, _mm256_setzero_ps(), _CMP_NEQ_UQ);
    __m256i q[4];
    for (int i = 0; i < 4; ++i) {
        __m256 r = _mm256_round_ps(_mm256_div_ps(v[i], divisor),
                                   _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
        r = _mm256_and_ps(r, nonzero);
        r = _mm256_max_ps(r, _mm256_set1_ps(-127.0F));
        r = _mm256_min_ps(r, _mm256_set1_ps(127.0F));
        q[i] = _mm256_cvtps_epi32(r);
    }
    // Packing works inside 128-bit lanes: put the quarters back in order at the end.
    const __m256i words0 = _mm256_packs_epi32(q[0], q[1]);
    const __m256i words1 = _mm256_packs_epi32(q[2], q[3]);
    const __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(words0, words1),
                                                      _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    store_256(codes, bytes);
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), bytes);
    const __m256i fours = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
    const __m256i eights = _mm256_hadd_epi32(fours, fours);
    const __m256i halves = _mm256_hadd_epi32(eights, eights);
    sums[0] = static_cast<int16_t>(_mm256_extract_epi32(halves, 0));
    sums[1] = static_cast<int16_t>(_mm256_extract_epi32(halves, 4));
}

inline void pack_rows(const PackBlockArgs& args) {
    for (size_t r = 0; r < args.m; ++r) {
        for (size_t c = 0; c < args.k; c += 32) {
            const size_t at = r * args.k + c;
            pack_group(args.x + r * args.x_stride + c, args.out.codes + at,
                       args.out.scale + at / 32, args.out.sums + at / 16);
        }
    }
}

}  // namespace
}  // namespace gemlet
