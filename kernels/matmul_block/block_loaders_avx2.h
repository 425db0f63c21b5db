// Loads 256 columns of a weight row as eight vectors of byte codes and vectors of scales, straight
// from the stored blocks. Included by ISA files only: everything is in an anonymous namespace.
//
// Order inside a Block256, chosen so that a 128-bit lane never mixes groups and sums stay apart
// without moves between lanes:
//   codes[2j]      columns 0..15 of group 2j, then columns 0..15 of group 2j+1
//   codes[2j + 1]  columns 16..31 of the same groups
//   scale, min     groups 0 2 4 6 1 3 5 7 (kGroupOfLane)
// Codes are unsigned (code + kBias) and below the limit of their kWidth, or signed where the format
// uses all eight bits.
#pragma once

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace gemlet {
namespace {

/// Range of a format's byte codes, which decides how many products fit 16 bits.
enum class Width { u4, u5, u6, u7, s8 };

constexpr size_t kGroupOfLane[8] = {0, 2, 4, 6, 1, 3, 5, 7};

struct Block256 {
    __m256i codes[8];
    __m256 scale[2];  // [1]: second 16 columns of each group, only with kHalves
    __m256 min[2];    // only with kMins; [1] as above
};

inline __m128i load_128(const uint8_t* p) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}

inline __m256i load_256(const void* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}

inline void store_256(void* p, __m256i v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }

inline int load_i32(const uint8_t* p) {
    int v;
    memcpy(&v, p, sizeof(v));
    return v;
}

inline short load_i16(const uint8_t* p) {
    short v;
    memcpy(&v, p, sizeof(v));
    return v;
}

inline float half_at(const uint8_t* p) {
    return _cvtsh_ss(static_cast<unsigned short>(load_i16(p)));
}

// Halves of eight blocks, kStride bytes apart, in the order of kGroupOfLane: each word is taken
// from a load whose word of that number it is. Reads p..p+7*kStride+2 at most.
template <int kStride>
inline __m256 halves_at(const uint8_t* p) {
    __m128i h = load_128(p);
    h = _mm_blend_epi16(h, load_128(p + 2 * kStride - 2), 1 << 1);
    h = _mm_blend_epi16(h, load_128(p + 4 * kStride - 4), 1 << 2);
    h = _mm_blend_epi16(h, load_128(p + 6 * kStride - 6), 1 << 3);
    h = _mm_blend_epi16(h, load_128(p + 1 * kStride - 8), 1 << 4);
    h = _mm_blend_epi16(h, load_128(p + 3 * kStride - 10), 1 << 5);
    h = _mm_blend_epi16(h, load_128(p + 5 * kStride - 12), 1 << 6);
    h = _mm_blend_epi16(h, load_128(p + 7 * kStride - 14), 1 << 7);
    return _mm256_cvtph_ps(h);
}

inline __m256 negate(__m256 v) { return _mm256_xor_ps(v, _mm256_set1_ps(-0.0F)); }

inline __m256i two_128(const uint8_t* low, const uint8_t* high) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(load_128(low)), load_128(high), 1);
}

inline __m256i low_nibbles(__m256i v) { return _mm256_and_si256(v, _mm256_set1_epi8(15)); }
inline __m256i high_nibbles(__m256i v) { return low_nibbles(_mm256_srli_epi16(v, 4)); }

// Codes of two blocks of 32 with 16 bytes of nibbles each.
inline void nibble_pair(const uint8_t* first, const uint8_t* second, __m256i codes[2]) {
    const __m256i both = two_128(first, second);
    codes[0] = low_nibbles(both);
    codes[1] = high_nibbles(both);
}

// 32 bytes, low nibbles one group and high nibbles the next, to the order of a Block256.
inline void nibble_groups(const uint8_t* p, __m256i codes[2]) {
    const __m256i shift = _mm256_setr_epi64x(0, 0, 4, 4);
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
        const __m256i twice = _mm256_broadcastsi128_si256(load_128(p + 16 * i));
        codes[i] = low_nibbles(_mm256_srlv_epi64(twice, shift));
    }
}

// The fifth bits of two blocks' 32 codes as 16s, in the order of a Block256.
inline void fifth_bits(const uint8_t* first, const uint8_t* second, __m256i bits[2]) {
    const __m256i words = _mm256_blend_epi32(_mm256_set1_epi32(load_i32(first)),
                                             _mm256_set1_epi32(load_i32(second)), 0xf0);
    const __m256i each = _mm256_set1_epi64x(static_cast<int64_t>(0x8040201008040201ULL));
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
        const int64_t low = 0x0202020202020202 * i;
        const int64_t high = 0x0101010101010101 + low;
        const __m256i bytes = _mm256_shuffle_epi8(words, _mm256_setr_epi64x(low, high, low, high));
        const __m256i set = _mm256_cmpeq_epi8(_mm256_and_si256(bytes, each), each);
        bits[i] = _mm256_and_si256(set, _mm256_set1_epi8(16));
    }
}

// The level table of iq4_nl and iq4_xs.
inline __m128i iq4_table() {
    return _mm_setr_epi8(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);
}

inline __m256i iq4_levels(__m256i nibbles) {
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(iq4_table()), nibbles);
}

// Eight bytes in column order to the order of kGroupOfLane.
inline __m128i even_then_odd(__m128i bytes) {
    return _mm_shuffle_epi8(bytes,
                            _mm_setr_epi8(0, 2, 4, 6, 1, 3, 5, 7, -1, -1, -1, -1, -1, -1, -1, -1));
}

inline __m256 bytes_to_floats(__m128i bytes) {
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(even_then_odd(bytes)));
}

// Scales and minimums of q4_k and q5_k: 6 bits each; the upper four of both lie in pieces.
inline void load_k_pairs(const uint8_t* p, Block256& b) {
    const uint32_t s0 = static_cast<uint32_t>(load_i32(p + 4));
    const uint32_t s1 = static_cast<uint32_t>(load_i32(p + 8));
    const uint32_t s2 = static_cast<uint32_t>(load_i32(p + 12));
    const uint32_t scale_high = (s2 & 0x0f0f0f0fU) | ((s0 >> 2) & 0x30303030U);
    const uint32_t min_high = ((s2 >> 4) & 0x0f0f0f0fU) | ((s1 >> 2) & 0x30303030U);
    const __m128i scales =
        _mm_setr_epi32(static_cast<int>(s0 & 0x3f3f3f3fU), static_cast<int>(scale_high), 0, 0);
    const __m128i mins =
        _mm_setr_epi32(static_cast<int>(s1 & 0x3f3f3f3fU), static_cast<int>(min_high), 0, 0);
    b.scale[0] = _mm256_mul_ps(_mm256_set1_ps(half_at(p)), bytes_to_floats(scales));
    b.min[0] = _mm256_mul_ps(_mm256_set1_ps(half_at(p + 2)), bytes_to_floats(mins));
}

// Formats of blocks of 32: kBytes is that of eight blocks.
struct Q40 {
    static constexpr size_t kBytes = 144;
    static constexpr int kBias = 8;
    static constexpr Width kWidth = Width::u4;
    static constexpr bool kHalves = false;
    static constexpr bool kMins = false;
    static void load(const uint8_t* p, Block256& b) {
#pragma GCC unroll 4
        for (int j = 0; j < 8; j += 2) nibble_pair(p + 18 * j + 2, p + 18 * j + 20, b.codes + j);
        b.scale[0] = halves_at<18>(p);
    }
};

struct Q41 {
    static constexpr size_t kBytes = 160;
    static constexpr int kBias = 0;
    static constexpr Width kWidth = Width::u4;
    static constexpr bool kHalves = false;
    static constexpr bool kMins = true;
    static void load(const uint8_t* p, Block256& b) {
#pragma GCC unroll 4
        for (int j = 0; j < 8; j += 2) nibble_pair(p + 20 * j + 4, p + 20 * j + 24, b.codes + j);
        b.scale[0] = halves_at<20>(p);
        b.min[0] = negate(halves_at<20>(p + 2));
    }
};

// Codes of two blocks of five bits; p is at the first one's nibbles, whose fifth bits lie before.
template <int kStride>
inline void fives_pair(const uint8_t* p, __m256i codes[2]) {
    __m256i bits[2];
    fifth_bits(p - 4, p + kStride - 4, bits);
    nibble_pair(p, p + kStride, codes);
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) codes[i] = _mm256_or_si256(codes[i], bits[i]);
}

struct Q50 {
    static constexpr size_t kBytes = 176;
    static constexpr int kBias = 16;
    static constexpr Width kWidth = Width::u5;
    static constexpr bool kHalves = false;
    static constexpr bool kMins = false;
    static void load(const uint8_t* p, Block256& b) {
#pragma GCC unroll 4
        for (int j = 0; j < 8; j += 2) fives_pair<22>(p + 22 * j + 6, b.codes + j);
        b.scale[0] = halves_at<22>(p);
    }
};

struct Q51 {
    static constexpr size_t kBytes = 192;
    static constexpr int kBias = 0;
    static constexpr Width kWidth = Width::u5;
    static constexpr bool kHalves = false;
    static constexpr bool kMins = true;
    static void load(const uint8_t* p, Block256& b) {
#pragma GCC unroll 4
        for (int j = 0; j < 8; j += 2) fives_pair<24>(p + 24 * j + 8, b.codes + j);
        b.scale[0] = halves_at<24>(p);
        b.min[0] = negate(halves_at<24>(p + 2));
    }
};

struct Q80 {
    static constexpr size_t kBytes = 272;
    static constexpr int kBias = 0;
    static constexpr Width kWidth = Width::s8;
    static constexpr bool kHalves = false;
    static constexpr bool kMins = false;
    static void load(const uint8_t* p, Block256& b) {
#pragma GCC unroll 4
        for (int j = 0; j < 8; j += 2) {
            const uint8_t* first = p + 34 * j + 2;
            b.codes[j] = two_128(first, first + 34);
            b.codes[j + 1] = two_128(first + 16, first + 50);
        }
        b.scale[0] = halves_at<34>(p);
    }
};

struct Iq4Nl {
    static constexpr size_t kBytes = 144;
    static constexpr int kBias = 0;
    static constexpr Width kWidth = Width::s8;
    static constexpr bool kHalves = false;
    static constexpr bool kMins = false;
    static void load(const uint8_t* p, Block256& b) {
#pragma GCC unroll 4
        for (int j = 0; j < 8; j += 2) nibble_pair(p + 18 * j + 2, p + 18 * j + 20, b.codes + j);
#pragma GCC unroll 8
        for (__m256i& codes : b.codes) codes = iq4_levels(codes);
        b.scale[0] = halves_at<18>(p);
    }
};

// Formats of blocks of 256.
struct Q4K {
    static constexpr size_t kBytes = 144;
    static constexpr int kBias = 0;
    static constexpr Width kWidth = Width::u4;
    static constexpr bool kHalves = false;
    static constexpr bool kMins = true;
    static void load(const uint8_t* p, Block256& b) {
#pragma GCC unroll 4
        for (int j = 0; j < 8; j += 2) nibble_groups(p + 16 + 16 * j, b.codes + j);
        load_k_pairs(p, b);
    }
};

// Bit `bit` of each byte, moved to bit 4.
inline __m256i bit_to_16(__m256i v, int bit) {
    const __m256i moved = bit <= 4 ? _mm256_slli_epi16(v, 4 - bit) : _mm256_srli_epi16(v, bit - 4);
    return _mm256_and_si256(moved, _mm256_set1_epi8(16));
}

struct Q5K {
    static constexpr size_t kBytes = 176;
    static constexpr int kBias = 0;
    static constexpr Width kWidth = Width::u5;
    static constexpr bool kHalves = false;
    static constexpr bool kMins = true;
    static void load(const uint8_t* p, Block256& b) {
        // Bit 2j of the groups' first 16 columns, then bit 2j + 1 of the same.
        const __m256i shift = _mm256_setr_epi64x(0, 0, 1, 1);
        const __m256i high[2] = {
            _mm256_srlv_epi64(_mm256_broadcastsi128_si256(load_128(p + 16)), shift),
            _mm256_srlv_epi64(_mm256_broadcastsi128_si256(load_128(p + 32)), shift)};
#pragma GCC unroll 4
        for (int j = 0; j < 8; j += 2) {
            nibble_groups(p + 48 + 16 * j, b.codes + j);
#pragma GCC unroll 2
            for (int i = 0; i < 2; ++i) {
                b.codes[j + i] = _mm256_or_si256(b.codes[j + i], bit_to_16(high[i], j));
            }
        }
        load_k_pairs(p, b);
    }
};

struct Q6K {
    static constexpr size_t kBytes = 210;
    static constexpr int kBias = 32;
    static constexpr Width kWidth = Width::u6;
    static constexpr bool kHalves = true;
    static constexpr bool kMins = false;
    static void load(const uint8_t* p, Block256& b) {
        const __m256i two_bits = _mm256_set1_epi8(48);
        const __m256i shift = _mm256_setr_epi64x(0, 0, 2, 2);
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) {  // 16 columns of four groups
            const uint8_t* low_at = p + 64 * (i / 2) + 16 * (i % 2);
            const __m256i low = two_128(low_at, low_at + 32);
            const __m128i stored = load_128(p + 128 + 16 * i);
            const __m256i high = _mm256_srlv_epi64(_mm256_broadcastsi128_si256(stored), shift);
            const __m256i high0 = _mm256_and_si256(_mm256_slli_epi16(high, 4), two_bits);
            const __m256i high1 = _mm256_and_si256(high, two_bits);
            __m256i* codes = b.codes + 4 * (i / 2) + i % 2;
            codes[0] = _mm256_or_si256(low_nibbles(low), high0);
            codes[2] = _mm256_or_si256(high_nibbles(low), high1);
        }
        // Scales lie as group 0 first half, second half, group 1 first half, ...
        const __m128i order = _mm_setr_epi8(0, 4, 8, 12, 2, 6, 10, 14, 1, 5, 9, 13, 3, 7, 11, 15);
        const __m128i scales = _mm_shuffle_epi8(load_128(p + 192), order);
        const __m256 d = _mm256_set1_ps(half_at(p + 208));
        b.scale[0] = _mm256_mul_ps(d, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(scales)));
        b.scale[1] = _mm256_mul_ps(
            d, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_unpackhi_epi64(scales, scales))));
    }
};

struct Iq4Xs {
    static constexpr size_t kBytes = 136;
    static constexpr int kBias = 0;
    static constexpr Width kWidth = Width::s8;
    static constexpr bool kHalves = false;
    static constexpr bool kMins = false;
    static void load(const uint8_t* p, Block256& b) {
#pragma GCC unroll 4
        for (int j = 0; j < 8; j += 2) {
            const __m256i both = load_256(p + 8 + 16 * j);
            b.codes[j] = iq4_levels(low_nibbles(both));
            b.codes[j + 1] = iq4_levels(high_nibbles(both));
        }
        const __m256i low = _mm256_srlv_epi32(_mm256_set1_epi32(load_i32(p + 4)),
                                              _mm256_setr_epi32(0, 8, 16, 24, 4, 12, 20, 28));
        const __m256i high = _mm256_srlv_epi32(_mm256_set1_epi32(load_i16(p + 2)),
                                               _mm256_setr_epi32(0, 4, 8, 12, 2, 6, 10, 14));
        const __m256i four = _mm256_and_si256(low, _mm256_set1_epi32(15));
        const __m256i two = _mm256_slli_epi32(_mm256_and_si256(high, _mm256_set1_epi32(3)), 4);
        const __m256i scale = _mm256_sub_epi32(_mm256_or_si256(four, two), _mm256_set1_epi32(32));
        b.scale[0] = _mm256_mul_ps(_mm256_set1_ps(half_at(p)), _mm256_cvtepi32_ps(scale));
    }
};

}  // namespace
}  // namespace gemlet
