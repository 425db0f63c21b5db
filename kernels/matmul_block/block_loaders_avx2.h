// Loads 256 columns of a weight row as eight vectors of byte codes and vectors of scales, straight
// from the stored blocks. Included by ISA files only: everything is in an anonymous namespace.
//
// A lane of the scale and minimum vectors is a group of 32 columns. Codes are unsigned (code +
// kBias) and below the limit of their kWidth, or signed where the format uses all eight bits.
#pragma once

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace gemlet {
namespace {

/// Range of a format's byte codes, which decides how many products fit 16 bits.
enum class Width { u4, u5, u6, u7, s8 };

struct Block256 {
    __m256i codes[8];  // vector g: columns 32g..32g+31
    __m256 scale[2];   // [1]: second 16 columns of each group, only with kHalves
    __m256 min[2];     // only with kMins; [1] as above
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

// Eight halves, stride bytes apart.
template <int kStride>
inline __m256 halves_at(const uint8_t* p) {
    const __m128i h = _mm_setr_epi16(load_i16(p), load_i16(p + kStride), load_i16(p + 2 * kStride),
                                     load_i16(p + 3 * kStride), load_i16(p + 4 * kStride),
                                     load_i16(p + 5 * kStride), load_i16(p + 6 * kStride),
                                     load_i16(p + 7 * kStride));
    return _mm256_cvtph_ps(h);
}

inline __m256 negate(__m256 v) { return _mm256_xor_ps(v, _mm256_set1_ps(-0.0F)); }

// 16 bytes to 32 nibbles: the low ones first.
inline __m256i nibbles_at(const uint8_t* p) {
    const __m256i twice = _mm256_broadcastsi128_si256(load_128(p));
    const __m256i shifted = _mm256_srlv_epi64(twice, _mm256_setr_epi64x(0, 0, 4, 4));
    return _mm256_and_si256(shifted, _mm256_set1_epi8(15));
}

inline __m256i low_nibbles(__m256i v) { return _mm256_and_si256(v, _mm256_set1_epi8(15)); }
inline __m256i high_nibbles(__m256i v) { return low_nibbles(_mm256_srli_epi16(v, 4)); }

// Bit i of 32 to byte i: 16 where it is set.
inline __m256i fifth_bits_at(const uint8_t* p) {
    const __m256i which =
        _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i bit = _mm256_set1_epi64x(static_cast<int64_t>(0x8040201008040201ULL));
    const __m256i bytes = _mm256_shuffle_epi8(_mm256_set1_epi32(load_i32(p)), which);
    const __m256i set = _mm256_cmpeq_epi8(_mm256_and_si256(bytes, bit), bit);
    return _mm256_and_si256(set, _mm256_set1_epi8(16));
}

// The level table of iq4_nl and iq4_xs.
inline __m256i iq4_levels(__m256i nibbles) {
    const __m128i table =
        _mm_setr_epi8(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), nibbles);
}

inline __m256 bytes_to_floats(__m128i bytes) {
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
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
        for (int g = 0; g < 8; ++g) b.codes[g] = nibbles_at(p + 18 * g + 2);
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
        for (int g = 0; g < 8; ++g) b.codes[g] = nibbles_at(p + 20 * g + 4);
        b.scale[0] = halves_at<20>(p);
        b.min[0] = negate(halves_at<20>(p + 2));
    }
};

struct Q50 {
    static constexpr size_t kBytes = 176;
    static constexpr int kBias = 16;
    static constexpr Width kWidth = Width::u5;
    static constexpr bool kHalves = false;
    static constexpr bool kMins = false;
    static void load(const uint8_t* p, Block256& b) {
        for (int g = 0; g < 8; ++g) {
            const uint8_t* block = p + 22 * g;
            b.codes[g] = _mm256_or_si256(nibbles_at(block + 6), fifth_bits_at(block + 2));
        }
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
        for (int g = 0; g < 8; ++g) {
            const uint8_t* block = p + 24 * g;
            b.codes[g] = _mm256_or_si256(nibbles_at(block + 8), fifth_bits_at(block + 4));
        }
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
        for (int g = 0; g < 8; ++g) b.codes[g] = load_256(p + 34 * g + 2);
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
        for (int g = 0; g < 8; ++g) b.codes[g] = iq4_levels(nibbles_at(p + 18 * g + 2));
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
        for (int j = 0; j < 4; ++j) {
            const __m256i pair = load_256(p + 16 + 32 * j);
            b.codes[2 * j] = low_nibbles(pair);
            b.codes[2 * j + 1] = high_nibbles(pair);
        }
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
        const __m256i high = load_256(p + 16);
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j) {
            const __m256i pair = load_256(p + 48 + 32 * j);
            b.codes[2 * j] = _mm256_or_si256(low_nibbles(pair), bit_to_16(high, 2 * j));
            b.codes[2 * j + 1] = _mm256_or_si256(high_nibbles(pair), bit_to_16(high, 2 * j + 1));
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
#pragma GCC unroll 2
        for (int i = 0; i < 2; ++i) {
            const __m256i low0 = load_256(p + 64 * i);
            const __m256i low1 = load_256(p + 64 * i + 32);
            const __m256i high = load_256(p + 128 + 32 * i);
            const __m256i high0 = _mm256_and_si256(_mm256_slli_epi16(high, 4), two_bits);
            const __m256i high1 = _mm256_and_si256(_mm256_slli_epi16(high, 2), two_bits);
            const __m256i high2 = _mm256_and_si256(high, two_bits);
            const __m256i high3 = _mm256_and_si256(_mm256_srli_epi16(high, 2), two_bits);
            b.codes[4 * i] = _mm256_or_si256(low_nibbles(low0), high0);
            b.codes[4 * i + 1] = _mm256_or_si256(low_nibbles(low1), high1);
            b.codes[4 * i + 2] = _mm256_or_si256(high_nibbles(low0), high2);
            b.codes[4 * i + 3] = _mm256_or_si256(high_nibbles(low1), high3);
        }
        const __m128i even_then_odd =
            _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
        const __m128i scales = _mm_shuffle_epi8(load_128(p + 192), even_then_odd);
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
        for (int g = 0; g < 8; ++g) b.codes[g] = iq4_levels(nibbles_at(p + 8 + 16 * g));
        const __m256i low = _mm256_srlv_epi32(_mm256_set1_epi32(load_i32(p + 4)),
                                              _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28));
        const __m256i high = _mm256_srlv_epi32(_mm256_set1_epi32(load_i16(p + 2)),
                                               _mm256_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14));
        const __m256i four = _mm256_and_si256(low, _mm256_set1_epi32(15));
        const __m256i two = _mm256_slli_epi32(_mm256_and_si256(high, _mm256_set1_epi32(3)), 4);
        const __m256i scale = _mm256_sub_epi32(_mm256_or_si256(four, two), _mm256_set1_epi32(32));
        b.scale[0] = _mm256_mul_ps(_mm256_set1_ps(half_at(p)), _mm256_cvtepi32_ps(scale));
    }
};

}  // namespace
}  // namespace gemlet
