// One vpdpbusd is 64 multiply-adds.
#include <immintrin.h>

#include "kernels/probe/probe.h"

namespace gemlet {
extern const ProbeVariant kProbeAvx512vnni;
namespace {

constexpr size_t kReadChains = 8;
constexpr size_t kChains = 16;  // two a cycle, five cycles of latency, and some room

uint64_t read_avx512vnni(const uint8_t* data, size_t n_bytes) {
    __m512i sum[kReadChains];
#pragma GCC unroll 16
    for (__m512i& part : sum) part = _mm512_setzero_si512();
    for (size_t at = 0; at < n_bytes; at += sizeof sum) {
#pragma GCC unroll 16
        for (size_t i = 0; i < kReadChains; ++i) {
            sum[i] = _mm512_xor_si512(sum[i], _mm512_load_si512(data + at + i * sizeof(__m512i)));
        }
    }
#pragma GCC unroll 16
    for (size_t i = 1; i < kReadChains; ++i) sum[0] = _mm512_xor_si512(sum[0], sum[i]);
    return static_cast<uint64_t>(_mm512_reduce_add_epi64(sum[0]));
}

uint64_t multiply_avx512vnni(size_t n_steps) {
    __m512i sum[kChains];
#pragma GCC unroll 16
    for (__m512i& part : sum) part = _mm512_setzero_si512();
    __m512i field = _mm512_set1_epi8(1);
    const __m512i code = _mm512_set1_epi8(2);
    for (size_t step = 0; step < n_steps; ++step) {
#pragma GCC unroll 16
        for (__m512i& part : sum) {
            __asm__ volatile("" : "+v"(field));  // the compiler must not know the product
            part = _mm512_dpbusd_epi32(part, field, code);
        }
    }
#pragma GCC unroll 16
    for (__m512i& part : sum) __asm__ volatile("" : "+v"(part));
    return n_steps * kChains * sizeof(__m512i);
}

}  // namespace

const ProbeVariant kProbeAvx512vnni = {"probe_avx512vnni", Isa::avx512vnni, read_avx512vnni,
                                       multiply_avx512vnni};

}  // namespace gemlet
