// Prefill with 512-bit vpdpbusd. Included by ISA files only: everything is in an anonymous
// namespace.
#pragma once

#include "kernels/matmul_block/tile_multiply_avx2.h"

namespace gemlet {
namespace {

// Prefill's vectors.
struct Vectors512 {
    using Ints = __m512i;
    using Floats = __m512;
    static constexpr size_t kLanes = 16;
    static constexpr size_t kMaxRows = 12;
    static constexpr size_t kMaxRowsHalves = 6;
    static constexpr bool kFlip = true;
    template <Width kWidth>
    static constexpr Width width() {
        return Width::s8;  // does not matter here: formats share the code
    }
    static Floats load(const float* p) { return _mm512_loadu_ps(p); }
    static void store(float* p, Floats v) { _mm512_storeu_ps(p, v); }
    static Floats set1(float v) { return _mm512_set1_ps(v); }
    static Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
    static Floats mul(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
    static Floats fmadd(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
    static Floats fnmadd(Floats a, Floats b, Floats c) { return _mm512_fnmadd_ps(a, b, c); }
    static Floats to_floats(Ints v) { return _mm512_cvtepi32_ps(v); }

    // kChunks times 4 columns: s[r] = start[r][g] + sum of codes times activations of row r.
    template <Width kWidth, int kChunks, size_t kRows, int kVectors>
    __attribute__((always_inline)) static void add_chunks(const uint8_t* codes, const int8_t* x,
                                                          size_t x_stride,
                                                          const int32_t (*start)[8], size_t g,
                                                          Ints s[kRows][kVectors]) {
#pragma GCC unroll 12
        for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
            for (int i = 0; i < kVectors; ++i) s[r][i] = _mm512_set1_epi32(start[r][g]);
        }
#pragma GCC unroll 8
        for (int c = 0; c < kChunks; ++c) {
            Ints w[kVectors];
#pragma GCC unroll 2
            for (int i = 0; i < kVectors; ++i) w[i] = _mm512_loadu_si512(codes + 128 * c + 64 * i);
#pragma GCC unroll 12
            for (size_t r = 0; r < kRows; ++r) {
                const auto* at = reinterpret_cast<const uint8_t*>(x + r * x_stride + 4 * c);
                const Ints v = _mm512_set1_epi32(load_i32(at));
#pragma GCC unroll 2
                for (int i = 0; i < kVectors; ++i) {
                    s[r][i] = _mm512_dpbusd_epi32(s[r][i], w[i], v);
                }
            }
        }
    }
};

}  // namespace
}  // namespace gemlet
