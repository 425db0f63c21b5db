// Decode with 512 bits: two weight rows side by side. Included by ISA files only: everything is in
// an anonymous namespace.
#pragma once

#include "kernels/matmul_block/row_dots_avx2.h"

namespace gemlet {
namespace {

// 256 columns of two rows: the lower half is a Block256 of the first. All codes unsigned.
struct RowPair {
    __m512i codes[8];
    __m512 scale[2];
    __m512 min[2];
};

inline __m512 join(__m256 low, __m256 high) {
    return _mm512_insertf32x8(_mm512_castps256_ps512(low), high, 1);
}

// Any rows. Signed codes get a bias of 128.
template <class Rows>
__attribute__((always_inline)) inline void load_any_pair(const Rows& rows, size_t block,
                                                         size_t slot, RowPair& pair) {
    const __m512i flip = _mm512_set1_epi8(Rows::kWidth == Width::s8 ? -128 : 0);
    Block256 low;
    Block256 high;
    rows.load(block, slot, low);
    rows.load(block, slot + 1, high);
#pragma GCC unroll 8
    for (int j = 0; j < 8; ++j) {
        const __m512i both =
            _mm512_inserti64x4(_mm512_castsi256_si512(low.codes[j]), high.codes[j], 1);
        pair.codes[j] = _mm512_xor_si512(both, flip);
    }
#pragma GCC unroll 2
    for (int i = 0; i < (Rows::kHalves ? 2 : 1); ++i) {
        pair.scale[i] = join(low.scale[i], high.scale[i]);
        if (Rows::kMins) pair.min[i] = join(low.min[i], high.min[i]);
    }
}

// The halves that start eight blocks of 18 bytes, of two rows, in the order of kGroupOfLane.
__attribute__((always_inline)) inline __m512 halves_of_18(const uint8_t* p, const uint8_t* q) {
    const __m512i words =
        _mm512_setr_epi32(18 << 16, 54 << 16 | 36, 27 << 16 | 9, 63 << 16 | 45, 18 << 16,
                          54 << 16 | 36, 27 << 16 | 9, 63 << 16 | 45, 0, 0, 0, 0, 0, 0, 0, 0);
    const __m512i low =
        _mm512_permutex2var_epi16(_mm512_loadu_si512(p), words, _mm512_loadu_si512(p + 64));
    const __m512i high =
        _mm512_permutex2var_epi16(_mm512_loadu_si512(q), words, _mm512_loadu_si512(q + 64));
    return _mm512_cvtph_ps(
        _mm256_blend_epi32(_mm512_castsi512_si256(low), _mm512_castsi512_si256(high), 0xf0));
}

// Eight blocks of 18 bytes, half first, of two rows: one permutation brings the nibbles of two
// blocks of both rows together.
__attribute__((always_inline)) inline void load_nibbles_of_18(const uint8_t* p, const uint8_t* q,
                                                              RowPair& pair) {
    const __m512i words = _mm512_setr_epi32(
        2 << 16 | 1, 4 << 16 | 3, 6 << 16 | 5, 8 << 16 | 7, 11 << 16 | 10, 13 << 16 | 12,
        15 << 16 | 14, 17 << 16 | 16, 34 << 16 | 33, 36 << 16 | 35, 38 << 16 | 37, 40 << 16 | 39,
        43 << 16 | 42, 45 << 16 | 44, 47 << 16 | 46, 49 << 16 | 48);
    const __m512i nibble = _mm512_set1_epi8(15);
    pair.scale[0] = halves_of_18(p, q);
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
        constexpr __mmask32 kTwoBlocks = 0x3ffff;  // 18 words: no byte beyond the row
        const __m512i first = j < 3 ? _mm512_loadu_si512(p + 36 * j)
                                    : _mm512_maskz_loadu_epi16(kTwoBlocks, p + 36 * j);
        const __m512i second = j < 3 ? _mm512_loadu_si512(q + 36 * j)
                                     : _mm512_maskz_loadu_epi16(kTwoBlocks, q + 36 * j);
        const __m512i both = _mm512_permutex2var_epi16(first, words, second);
        pair.codes[2 * j] = _mm512_and_si512(both, nibble);
        pair.codes[2 * j + 1] = _mm512_and_si512(_mm512_srli_epi16(both, 4), nibble);
    }
}

// The last columns of a row whose length is no multiple of 256: rare, kept out of the loop.
template <class Rows>
__attribute__((noinline)) void load_last_pair(const Rows& rows, size_t block, size_t slot,
                                              RowPair& pair) {
    load_any_pair(rows, block, slot, pair);
}

template <class Rows>
__attribute__((always_inline)) inline void load_pair(const Rows& rows, size_t block, size_t slot,
                                                     RowPair& pair) {
    load_any_pair(rows, block, slot, pair);
}

__attribute__((always_inline)) inline void load_pair(const StoredRows<Q40>& rows, size_t block,
                                                     size_t slot, RowPair& pair) {
    if (!rows.is_whole(block)) return load_last_pair(rows, block, slot, pair);
    load_nibbles_of_18(rows.at(block, slot), rows.at(block, slot + 1), pair);
}

__attribute__((always_inline)) inline void load_pair(const StoredRows<Iq4Nl>& rows, size_t block,
                                                     size_t slot, RowPair& pair) {
    if (!rows.is_whole(block)) return load_last_pair(rows, block, slot, pair);
    load_nibbles_of_18(rows.at(block, slot), rows.at(block, slot + 1), pair);
    const __m512i levels = _mm512_broadcast_i32x4(_mm_xor_si128(iq4_table(), _mm_set1_epi8(-128)));
#pragma GCC unroll 8
    for (__m512i& codes : pair.codes) codes = _mm512_shuffle_epi8(levels, codes);
}

// Sums of neighbours: those of a in the lower half of each 128-bit lane, of b in the upper.
inline __m512i add_pairs(__m512i a, __m512i b) {
    const __m512 fa = _mm512_castsi512_ps(a);
    const __m512 fb = _mm512_castsi512_ps(b);
    return _mm512_add_epi32(_mm512_castps_si512(_mm512_shuffle_ps(fa, fb, 0x88)),
                            _mm512_castps_si512(_mm512_shuffle_ps(fa, fb, 0xdd)));
}

// Adds eight groups of both rows to their lanes.
template <class Rows>
__attribute__((always_inline)) inline __m512 add_pair(const RowPair& w, const XBlock& x,
                                                      __m512 lanes) {
    constexpr int kParts = Rows::kHalves ? 2 : 1;
    __m512i v[kParts][4];
#pragma GCC unroll 8
    for (int j = 0; j < 8; ++j) {
        const bool adds_on = kParts == 1 && j % 2 == 1;
        const __m512i from = adds_on ? v[0][j / 2] : _mm512_setzero_si512();
        v[j % kParts][j / 2] =
            _mm512_dpbusd_epi32(from, w.codes[j], _mm512_broadcast_i64x4(load_256(x.codes[j])));
    }
    __m512 t = _mm512_setzero_ps();
#pragma GCC unroll 2
    for (int i = 0; i < kParts; ++i) {
        const __m512i sum = add_pairs(add_pairs(v[i][0], v[i][1]), add_pairs(v[i][2], v[i][3]));
        const __m512i start = _mm512_broadcast_i64x4(load_256(x.start[i]));
        const __m512 dot = _mm512_cvtepi32_ps(_mm512_add_epi32(sum, start));
        t = i == 0 ? _mm512_mul_ps(w.scale[i], dot) : _mm512_fmadd_ps(w.scale[i], dot, t);
    }
#pragma GCC unroll 2
    for (int i = 0; Rows::kMins && i < kParts; ++i) {
        t = _mm512_fnmadd_ps(w.min[i], _mm512_broadcast_f32x8(_mm256_load_ps(x.sum[i])), t);
    }
    return _mm512_fmadd_ps(_mm512_broadcast_f32x8(_mm256_load_ps(x.scale)), t, lanes);
}

struct PairDots {
    static constexpr int kSignedBias = 128;
    template <size_t kM, class Rows>
    static void dot_rows(const Rows& rows, size_t n_rows, const XBlock* x, size_t n_blocks,
                         __m256 lanes[kM][kRowsAtOnce]) {
        for (size_t i = 0; i < n_rows; i += 2) {
            __m512 acc[kM];
#pragma GCC unroll 4
            for (size_t r = 0; r < kM; ++r) acc[r] = _mm512_setzero_ps();
            for (size_t b = 0; b < n_blocks; ++b) {
                RowPair w;
                rows.prefetch(b, i, kPrefetch);
                rows.prefetch(b, i + 1, kPrefetch);
                load_pair(rows, b, i, w);
#pragma GCC unroll 4
                for (size_t r = 0; r < kM; ++r) {
                    acc[r] = add_pair<Rows>(w, x[r * n_blocks + b], acc[r]);
                }
            }
#pragma GCC unroll 4
            for (size_t r = 0; r < kM; ++r) {
                lanes[r][i] = _mm512_castps512_ps256(acc[r]);
                lanes[r][i + 1] = _mm512_extractf32x8_ps(acc[r], 1);
            }
        }
    }
};

}  // namespace
}  // namespace gemlet
