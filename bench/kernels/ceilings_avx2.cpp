// AVX2: 32-byte loads, and vpmaddubsw plus vpaddw on eight independent sums.
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/kernels/ceilings.h"

namespace gemlet {
namespace {

int read(const uint8_t* bytes, size_t n) {
    __m256i sums[4] = {};
    for (size_t i = 0; i < n; i += 256) {
#pragma GCC unroll 8
        for (size_t j = 0; j < 8; ++j) {
            const auto* from = reinterpret_cast<const __m256i*>(bytes + i + j * 32);
            sums[j % 4] = _mm256_xor_si256(sums[j % 4], _mm256_loadu_si256(from));
        }
    }
    const __m256i all =
        _mm256_xor_si256(_mm256_xor_si256(sums[0], sums[1]), _mm256_xor_si256(sums[2], sums[3]));
    return _mm256_movemask_epi8(all);
}

// The empty statement hides the operands' values, so that no product leaves the loop.
int dot(size_t rounds) {
    __m256i sums[8] = {};
    __m256i a = _mm256_set1_epi8(1);
    __m256i b = _mm256_set1_epi8(2);
    for (size_t i = 0; i < rounds; ++i) {
        __asm__ volatile("" : "+x"(a), "+x"(b));
#pragma GCC unroll 8
        for (__m256i& sum : sums) {
            __m256i x = a;
            __asm__("" : "+x"(x));
            sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(x, b));
        }
    }
    __m256i all = sums[0];
    for (const __m256i& sum : sums) all = _mm256_xor_si256(all, sum);
    return _mm256_movemask_epi8(all);
}

}  // namespace

extern const Ceiling ceiling_avx2;
const Ceiling ceiling_avx2 = {Isa::avx2, read, dot, size_t{8} * 32};

}  // namespace gemlet
