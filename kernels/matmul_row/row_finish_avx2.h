// The end of every sum, four outputs at a time: what matmul_row's x86 variants do after their
// integer sums are complete. Included by files of one instruction set each, hence anonymous.
#pragma once

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/matmul_row/matmul_row.h"

namespace gemlet {
namespace {

constexpr size_t kGroup = 4;  // weight rows whose sums are reduced together

inline __m256i load(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }

// Adds the 8 lanes of each of four registers.
inline __m128i reduce_group(const __m256i* part) {
    const __m256i low = _mm256_hadd_epi32(part[0], part[1]);
    const __m256i high = _mm256_hadd_epi32(part[2], part[3]);
    const __m256i all = _mm256_hadd_epi32(low, high);
    return _mm_add_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
}

// The first n of four floats. A copy of known size, because a short copy that is read back as one
// register stalls until the store has left the store buffer.
inline __m128 load_four(const void* from, size_t n) {
    if (n == kGroup) return _mm_loadu_ps(static_cast<const float*>(from));
    float values[kGroup] = {};
    memcpy(values, from, n * sizeof(float));
    return _mm_loadu_ps(values);
}

inline void store_four(float* to, __m128 v, size_t n) {
    if (n == kGroup) return _mm_storeu_ps(to, v);
    float values[kGroup];
    _mm_storeu_ps(values, v);
    memcpy(to, values, n * sizeof(float));
}

// Exactly y = acc * (scale * weight_scale), then the output quantiser; n weight rows are valid.
inline void store_outputs(const MatmulRowArgs& args, __m128 acc, size_t row, size_t column,
                          size_t n) {
    const __m128 weight_scale = load_four(args.weight_scale + column * sizeof(float), n);
    __m128 y = _mm_mul_ps(acc, _mm_mul_ps(_mm_set1_ps(args.x.scale[row]), weight_scale));
    if (args.output_scale > 0.0F) {
        const __m128 step = _mm_set1_ps(args.output_scale);
        y = _mm_round_ps(_mm_div_ps(y, step), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
        y = _mm_min_ps(_mm_max_ps(y, _mm_set1_ps(-128.0F)), _mm_set1_ps(127.0F));
        if (args.out_codes != nullptr) {
            const __m128i words = _mm_packs_epi32(_mm_cvtps_epi32(y), _mm_setzero_si128());
            const int codes = _mm_cvtsi128_si32(_mm_packs_epi16(words, words));
            int8_t* to = args.out_codes + row * args.out_codes_stride + column;
            if (n == kGroup) {
                memcpy(to, &codes, sizeof(codes));
            } else {
                memcpy(to, &codes, n);
            }
            return;
        }
        y = _mm_mul_ps(y, step);
    }
    store_four(args.out + row * args.out_stride + column, y, n);
}

// Zero points times the sum of activations, which unsigned fields have too much.
inline int32_t excess_of(int32_t zero, int32_t sum) {
    return static_cast<int32_t>(static_cast<uint32_t>(zero) * static_cast<uint32_t>(sum));
}

inline void finish_row(const MatmulRowArgs& args, int32_t zero, __m128i acc, size_t row,
                       size_t column, size_t n) {
    acc = _mm_sub_epi32(acc, _mm_set1_epi32(excess_of(zero, args.x.sums[row])));
    store_outputs(args, _mm_cvtepi32_ps(acc), row, column, n);
}

// Joins the three digits of a fixed-point row in double: exact, rounded once.
inline void finish_limbs(const MatmulRowArgs& args, int32_t zero, const __m128i* digits, size_t row,
                         size_t column, size_t n) {
    __m256d acc = _mm256_setzero_pd();
    for (size_t limb = kFixedPointLimbs; limb-- > 0;) {
        const int32_t sum = args.x.sums[row * kFixedPointLimbs + limb];
        const __m128i digit = _mm_sub_epi32(digits[limb], _mm_set1_epi32(excess_of(zero, sum)));
        acc = _mm256_add_pd(_mm256_mul_pd(acc, _mm256_set1_pd(256.0)), _mm256_cvtepi32_pd(digit));
    }
    store_outputs(args, _mm256_cvtpd_ps(acc), row, column, n);
}

}  // namespace
}  // namespace gemlet
