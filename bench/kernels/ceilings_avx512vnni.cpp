// AVX-512: 64-byte loads, and vpdpbusd on sixteen independent sums.
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/kernels/ceilings.h"

namespace gemlet {
namespace {

int read(const uint8_t* bytes, size_t n) {
    __m512i sums[4] = {};
    for (size_t i = 0; i < n; i += 256) {
#pragma GCC unroll 16
        for (size_t j = 0; j < 4; ++j) {
            sums[j] = _mm512_xor_si512(sums[j], _mm512_loadu_si512(bytes + i + j * 64));
        }
    }
    const __m512i all =
        _mm512_xor_si512(_mm512_xor_si512(sums[0], sums[1]), _mm512_xor_si512(sums[2], sums[3]));
    return static_cast<int>(_mm512_movepi8_mask(all));
}

int dot(size_t rounds) {
    __m512i sums[16] = {};
    __m512i a = _mm512_set1_epi8(1);
    __m512i b = _mm512_set1_epi8(2);
    for (size_t i = 0; i < rounds; ++i) {
        __asm__ volatile("" : "+v"(a), "+v"(b));
#pragma GCC unroll 16
        for (__m512i& sum : sums) sum = _mm512_dpbusd_epi32(sum, a, b);
    }
    __m512i all = sums[0];
    for (const __m512i& sum : sums) all = _mm512_xor_si512(all, sum);
    return static_cast<int>(_mm512_movepi8_mask(all));
}

}  // namespace

extern const Ceiling ceiling_avx512vnni;
const Ceiling ceiling_avx512vnni = {Isa::avx512vnni, read, dot, size_t{16} * 64};

}  // namespace gemlet
