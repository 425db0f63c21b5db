// Packs activations with AVX2, for the AVX2 variant and all better ones: quantises 32 columns of
// every stream at a time, then sorts the bytes into streams. Work is O(k) against O(n k) of the
// product; the divisions (8 in about 5 cycles) are the limit.
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/matmul_row/matmul_row.h"

namespace gemlet {

void matmul_row_pack_avx2(const PackRowArgs& args);

namespace {

constexpr size_t kChunk = 32;  // bytes of a register

struct Quantiser {
    __m256 scale;
    __m256 low;
    __m256 high;
};

inline __m256i quantise_8(const float* x, const Quantiser& q) {
    __m256 v = _mm256_div_ps(_mm256_loadu_ps(x), q.scale);
    v = _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    return _mm256_cvtps_epi32(_mm256_min_ps(_mm256_max_ps(v, q.low), q.high));
}

// 4 x 8 numbers that fit int8 to 32 bytes in order.
inline __m256i to_bytes(const __m256i* v) {
    const __m256i packed =
        _mm256_packs_epi16(_mm256_packs_epi32(v[0], v[1]), _mm256_packs_epi32(v[2], v[3]));
    return _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

// Even and odd bytes of 64.
inline void split(__m256i a, __m256i b, __m256i& even, __m256i& odd) {
    const __m256i mask = _mm256_set1_epi16(0xFF);
    even = _mm256_packus_epi16(_mm256_and_si256(a, mask), _mm256_and_si256(b, mask));
    odd = _mm256_packus_epi16(_mm256_srli_epi16(a, 8), _mm256_srli_epi16(b, 8));
    even = _mm256_permute4x64_epi64(even, 0xD8);
    odd = _mm256_permute4x64_epi64(odd, 0xD8);
}

// Stores 32 codes of each stream; bytes hold 32 * kStreams codes in order of columns.
template <size_t kStreams>
inline void store_streams(const __m256i* bytes, int8_t* to, size_t stream_bytes) {
    __m256i streams[4] = {bytes[0], bytes[0], bytes[0], bytes[0]};
    if constexpr (kStreams == 2) split(bytes[0], bytes[1], streams[0], streams[1]);
    if constexpr (kStreams == 4) {
        __m256i even[2];
        __m256i odd[2];
        split(bytes[0], bytes[1], even[0], odd[0]);
        split(bytes[2], bytes[3], even[1], odd[1]);
        split(even[0], even[1], streams[0], streams[2]);
        split(odd[0], odd[1], streams[1], streams[3]);
    }
#pragma GCC unroll 8
    for (size_t s = 0; s < kStreams; ++s) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + s * stream_bytes), streams[s]);
    }
}

inline int32_t reduce(__m256i v) {
    __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4E));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xB1));
    return _mm_cvtsi128_si32(sum);
}

inline float max_abs(const float* x, size_t n) {
    const __m256 magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(0x7FFFFFFF));
    __m256 largest = _mm256_setzero_ps();
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        largest = _mm256_max_ps(_mm256_and_ps(_mm256_loadu_ps(x + i), magnitude), largest);
    }
    float lanes[8] = {};
    memcpy(lanes, x + i, (n - i) * sizeof(float));
    largest = _mm256_max_ps(_mm256_and_ps(_mm256_loadu_ps(lanes), magnitude), largest);
    _mm256_storeu_ps(lanes, largest);
    float result = lanes[0];
    for (const float lane : lanes) result = lane > result ? lane : result;
    return result;
}

// Takes the lowest balanced digit to the base 256 out of v.
inline __m256i next_limb(__m256i& v) {
    const __m256i digit = _mm256_srai_epi32(_mm256_slli_epi32(v, 24), 24);
    v = _mm256_srai_epi32(_mm256_sub_epi32(v, digit), 8);
    return digit;
}

template <size_t kStreams, size_t kLimbs>
void pack_row(const PackRowArgs& args, size_t row) {
    constexpr size_t kStep = kChunk * kStreams;  // columns at a time
    const float* x = args.x + row * args.x_stride;
    const size_t limb_bytes = kStreams * args.out.stream_bytes;
    int8_t* codes = args.out.codes + row * kLimbs * limb_bytes;
    float scale = args.input_scale;
    float high = 127.0F;
    float low = -128.0F;
    if (kLimbs > 1) {
        high = static_cast<float>(kFixedPointMax);
        low = -high;
        scale = max_abs(x, args.k) / high;
        if (scale == 0.0F) scale = 1.0F;
    }
    args.out.scale[row] = scale;
    const Quantiser q = {_mm256_set1_ps(scale), _mm256_set1_ps(low), _mm256_set1_ps(high)};
    __m256i sums[kLimbs] = {};
    for (size_t byte = 0; byte < args.out.stream_bytes; byte += kChunk) {
        const size_t column = byte * kStreams;
        alignas(kChunk) float rest[kStep];
        const float* from = x + column;
        if (column + kStep > args.k) {
            const size_t left = column < args.k ? args.k - column : 0;
            memset(rest, 0, sizeof(rest));
            if (left > 0) memcpy(rest, from, left * sizeof(float));
            from = rest;
        }
        __m256i bytes[kLimbs][kStreams];
#pragma GCC unroll 8
        for (size_t s = 0; s < kStreams; ++s) {
            __m256i digits[kLimbs][4];
#pragma GCC unroll 8
            for (size_t i = 0; i < 4; ++i) {
                __m256i v = quantise_8(from + s * kChunk + i * 8, q);
#pragma GCC unroll 8
                for (size_t limb = 0; limb < kLimbs; ++limb) {
                    digits[limb][i] = kLimbs == 1 ? v : next_limb(v);
                }
            }
#pragma GCC unroll 8
            for (size_t limb = 0; limb < kLimbs; ++limb) {
                bytes[limb][s] = to_bytes(digits[limb]);
                const __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), bytes[limb][s]);
                sums[limb] =
                    _mm256_add_epi32(sums[limb], _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
            }
        }
#pragma GCC unroll 8
        for (size_t limb = 0; limb < kLimbs; ++limb) {
            store_streams<kStreams>(bytes[limb], codes + limb * limb_bytes + byte,
                                    args.out.stream_bytes);
        }
    }
#pragma GCC unroll 8
    for (size_t limb = 0; limb < kLimbs; ++limb) {
        args.out.sums[row * kLimbs + limb] = reduce(sums[limb]);
    }
}

template <size_t kStreams>
void pack_rows(const PackRowArgs& args) {
    for (size_t row = 0; row < args.m; ++row) {
        if (args.out.n_limbs == 1) {
            pack_row<kStreams, 1>(args, row);
        } else {
            pack_row<kStreams, kFixedPointLimbs>(args, row);
        }
    }
}

}  // namespace

void matmul_row_pack_avx2(const PackRowArgs& args) {
    switch (args.type) {
        case WeightType::i2r:
            return pack_rows<4>(args);
        case WeightType::i4r:
            return pack_rows<2>(args);
        default:
            return pack_rows<1>(args);
    }
}

}  // namespace gemlet
