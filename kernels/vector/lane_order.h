// What kernels need that compute the 16 lanes of canonical sums one after the other, with many
// outputs side by side in a register: the order in which the tree joins lanes, and the
// transposition that brings elements of different rows together. Included by files built for AVX2
// and more; everything has internal linkage.
#pragma once

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

namespace gemlet {
namespace {

// Lanes in the order of the tree: the bits of their numbers, reversed.
constexpr uint8_t kLaneOrder[16] = {0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15};
// Levels of the tree: finished lanes are joined like the bits of a binary counter.
constexpr size_t kLaneLevels = 4;

inline size_t place_of_lane(size_t lane) {
    return kLaneOrder[lane];  // reversing bits twice gives the number itself
}

// r[i][j] becomes r[j][i].
inline void transpose_eight(__m256 (&r)[8]) {
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

}  // namespace
}  // namespace gemlet
