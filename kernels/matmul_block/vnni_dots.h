// Decode's products with vpdpbusd on 256 bits (AVX-VNNI and AVX-512 VNNI share the intrinsic).
// Included by ISA files only: everything is in an anonymous namespace.
//
// Signed codes become unsigned ones with a bias of 128, so that all formats take one path.
#pragma once

#include "kernels/matmul_block/row_dots_avx2.h"

namespace gemlet {
namespace {

struct VnniArith {
    template <Width kWidth>
    static constexpr int bias(int stored) {
        return kWidth == Width::s8 ? 128 : stored;
    }

    template <Width kWidth, bool kHalves>
    __attribute__((always_inline)) static void dots(const __m256i w[8], const XBlock& x,
                                                    __m256i sums[]) {
        const __m256i flip = _mm256_set1_epi8(kWidth == Width::s8 ? -128 : 0);
        __m256i v[2][4];
#pragma GCC unroll 8
        for (int j = 0; j < 8; ++j) {
            const bool adds_on = !kHalves && j % 2 == 1;
            const __m256i from = adds_on ? v[0][j / 2] : _mm256_setzero_si256();
            v[kHalves ? j % 2 : 0][j / 2] =
                _mm256_dpbusd_epi32(from, _mm256_xor_si256(w[j], flip), load_256(x.codes[j]));
        }
#pragma GCC unroll 2
        for (int i = 0; i < (kHalves ? 2 : 1); ++i) {
            sums[i] = add_pairs(add_pairs(v[i][0], v[i][1]), add_pairs(v[i][2], v[i][3]));
        }
    }
};

}  // namespace
}  // namespace gemlet
