// Without VNNI a byte product is vpmaddubsw (32 multiply-adds) and the addition of its 16-bit
// pairs.
#include <immintrin.h>

#include "kernels/probe/probe.h"

namespace gemlet {
extern const ProbeVariant kProbeAvx2;
namespace {

constexpr size_t kChains = 8;

uint64_t read_avx2(const uint8_t* data, size_t n_bytes) {
    __m256i sum[kChains];
#pragma GCC unroll 16
    for (__m256i& part : sum) part = _mm256_setzero_si256();
    for (size_t at = 0; at < n_bytes; at += sizeof sum) {
#pragma GCC unroll 16
        for (size_t i = 0; i < kChains; ++i) {
            const void* from = data + at + i * sizeof(__m256i);
            sum[i] = _mm256_xor_si256(sum[i], _mm256_load_si256(static_cast<const __m256i*>(from)));
        }
    }
#pragma GCC unroll 16
    for (size_t i = 1; i < kChains; ++i) sum[0] = _mm256_xor_si256(sum[0], sum[i]);
    return static_cast<uint64_t>(_mm256_extract_epi64(sum[0], 0) ^ _mm256_extract_epi64(sum[0], 1) ^
                                 _mm256_extract_epi64(sum[0], 2) ^ _mm256_extract_epi64(sum[0], 3));
}

uint64_t multiply_avx2(size_t n_steps) {
    __m256i sum[kChains];
#pragma GCC unroll 16
    for (__m256i& part : sum) part = _mm256_setzero_si256();
    __m256i field = _mm256_set1_epi8(1);
    const __m256i code = _mm256_set1_epi8(2);
    for (size_t step = 0; step < n_steps; ++step) {
#pragma GCC unroll 16
        for (__m256i& part : sum) {
            __asm__ volatile("" : "+x"(field));  // the compiler must not know the product
            part = _mm256_add_epi16(part, _mm256_maddubs_epi16(field, code));
        }
    }
#pragma GCC unroll 16
    for (__m256i& part : sum) __asm__ volatile("" : "+x"(part));
    return n_steps * kChains * sizeof(__m256i);
}

}  // namespace

const ProbeVariant kProbeAvx2 = {"probe_avx2", Isa::avx2, read_avx2, multiply_avx2};

}  // namespace gemlet
