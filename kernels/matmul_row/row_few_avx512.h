// A few activation rows (1..4 at a time, or the three limbs of one) with 512-bit registers, for
// AVX-512 VNNI and AMX: kGroup weight rows are unpacked in registers, and each field vector serves
// all activation rows. One activation row has a chain of sums per stream: fields then stay where
// they are in their bytes and need no shift, and no chain waits for vpdpbusd (4-5 cycles).
//
// Predicted, not measured: per 64 weight bytes of int2 one load of weights, 4 masks and 4 vpdpbusd
// for one activation row: 2 cycles with four vector ports (Zen 5), 4 with two (Intel), against some
// 6 that memory takes at 37 GB/s a core. The head (three limbs) takes 6 and 10.
#pragma once

#include "kernels/matmul_row/row_tile_avx512.h"

namespace gemlet {
namespace {

constexpr size_t kChunk = 64;  // bytes of a register
constexpr size_t kFewRows = 4;

// Loads up to a register of bytes; those beyond n are zero and not read.
inline __m512i load_part(const uint8_t* p, size_t n) {
    const __mmask64 mask = n >= kChunk ? ~0ULL : (1ULL << n) - 1;
    return _mm512_maskz_loadu_epi8(mask, p);
}

struct Sums {
    __m512i part[kFewRows][kGroup];  // [activation row, weight row], 16 lanes still to be added
};

inline __m256i fold(__m512i v) {
    return _mm256_add_epi32(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));
}

inline __m128i reduce_group(const __m512i* part) {
    const __m256i low = _mm256_hadd_epi32(fold(part[0]), fold(part[1]));
    const __m256i high = _mm256_hadd_epi32(fold(part[2]), fold(part[3]));
    const __m256i all = _mm256_hadd_epi32(low, high);
    return _mm_add_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
}

// Rows are short (768 bytes for 1536 int4 columns) and kGroup of them are read side by side, a
// pattern the hardware does not foresee. So the next groups are asked for here, line after line in
// the order of addresses (asking row by row, as they will be read, gave a third of the speed).
constexpr size_t kPrefetchBytes = 8192;

// Packed weight rows of a group.
struct Group {
    const uint8_t* rows[kGroup];
    size_t row_bytes;
    size_t ahead_bytes;  // distance of the prefetches, a whole number of groups
};

// Activations of some rows (or limbs).
struct Rows {
    const int8_t* codes;
    size_t row_bytes;
    size_t stream_bytes;
    const int8_t* at(size_t row, size_t stream, size_t byte) const {
        return codes + row * row_bytes + stream * stream_bytes + byte;
    }
};

// Fields where they lie in their bytes, worth 1, 4, 16, 64 (int2) or 1, 16 (int4): no shifts, but a
// sum for each, since 192 * 128 * 4 products of a lane still fit 32 bits 20,000 times.
template <WeightType kType>
inline void mask_in_place(__m512i raw, __m512i* fields) {
    if constexpr (kType == WeightType::i8r) {
        unpack<kType>(raw, fields);
    } else {
        constexpr size_t kStreams = Traits<kType>::kStreams;
        constexpr size_t kBits = 8 / kStreams;
        constexpr unsigned kMask = (1U << kBits) - 1U;
#pragma GCC unroll 8
        for (size_t s = 0; s < kStreams; ++s) {
            const __m512i mask = _mm512_set1_epi8(static_cast<char>(kMask << (s * kBits)));
            fields[s] = _mm512_and_si512(raw, mask);
        }
    }
}

// Adds 64 weight bytes of each row of a group to the sums. With a sum for each stream (one
// activation row) fields stay in place.
template <WeightType kType, size_t kMr, size_t kChains>
inline __attribute__((always_inline)) void add_chunk(const __m512i* raw, const Rows& x, size_t byte,
                                                     __m512i (&sums)[kMr][kGroup][kChains]) {
    constexpr size_t kStreams = Traits<kType>::kStreams;
#pragma GCC unroll 8
    for (size_t r = 0; r < kGroup; ++r) {
        __m512i fields[kStreams];
        if constexpr (kChains == kStreams) {
            mask_in_place<kType>(raw[r], fields);
        } else {
            unpack<kType>(raw[r], fields);
        }
#pragma GCC unroll 8
        for (size_t i = 0; i < kMr; ++i) {
#pragma GCC unroll 8
            for (size_t s = 0; s < kStreams; ++s) {
                __m512i& sum = sums[i][r][s % kChains];
                sum = _mm512_dpbusd_epi32(sum, fields[s], _mm512_loadu_si512(x.at(i, s, byte)));
            }
        }
    }
}

// Multiplies kMr activation rows with a group of weight rows.
template <WeightType kType, size_t kMr>
void dot_group(const Group& weights, const Rows& x, Sums& out) {
    constexpr size_t kChains = kMr == 1 ? Traits<kType>::kStreams : 1;
    __m512i sums[kMr][kGroup][kChains];
#pragma GCC unroll 8
    for (auto& row : sums) {
#pragma GCC unroll 8
        for (auto& chains : row) {
#pragma GCC unroll 8
            for (__m512i& sum : chains) sum = _mm512_setzero_si512();
        }
    }
    __m512i raw[kGroup];
    size_t byte = 0;
    for (; byte + kChunk <= weights.row_bytes; byte += kChunk) {
        const auto* ahead =
            reinterpret_cast<const char*>(weights.rows[0] + weights.ahead_bytes + byte * kGroup);
#pragma GCC unroll 8
        for (size_t r = 0; r < kGroup; ++r) {
            _mm_prefetch(ahead + r * kChunk, _MM_HINT_T0);
            raw[r] = _mm512_loadu_si512(weights.rows[r] + byte);
        }
        add_chunk<kType>(raw, x, byte, sums);
    }
    if (byte < weights.row_bytes) {
#pragma GCC unroll 8
        for (size_t r = 0; r < kGroup; ++r) {
            raw[r] = load_part(weights.rows[r] + byte, weights.row_bytes - byte);
        }
        add_chunk<kType>(raw, x, byte, sums);
    }
#pragma GCC unroll 8
    for (size_t i = 0; i < kMr; ++i) {
#pragma GCC unroll 8
        for (size_t r = 0; r < kGroup; ++r) {
            __m512i sum = sums[i][r][0];
#pragma GCC unroll 8
            for (size_t c = 1; c < kChains; ++c) {
                constexpr unsigned kBits = 8 / Traits<kType>::kStreams;
                const auto shift =
                    static_cast<unsigned>(c) * kBits;  // exact: all its terms have it
                sum = _mm512_add_epi32(sum, _mm512_srai_epi32(sums[i][r][c], shift));
            }
            out.part[i][r] = sum;
        }
    }
}

// Rows beyond the range stand for the last one: computed, never stored.
inline void point_group(const MatmulRowArgs& args, size_t column, Group& group) {
#pragma GCC unroll 8
    for (size_t r = 0; r < kGroup; ++r) {
        const size_t n = column + r < args.n_end ? column + r : args.n_end - 1;
        group.rows[r] = args.weights + n * args.weight_stride_bytes;
    }
}

template <WeightType kType>
void run_few(const MatmulRowArgs& args) {
    constexpr size_t kStreams = Traits<kType>::kStreams;
    const size_t group_bytes = kGroup * args.weight_stride_bytes;
    Group weights = {};
    weights.row_bytes = (args.k + kStreams - 1) / kStreams;
    weights.ahead_bytes = (kPrefetchBytes + group_bytes - 1) / group_bytes * group_bytes;
    const size_t limb_bytes = kStreams * args.x.stream_bytes;
    const size_t n_rows = args.x.n_limbs == kFixedPointLimbs ? 1 : kFewRows;
    const auto* start =
        reinterpret_cast<const char*>(args.weights) + args.n_begin * args.weight_stride_bytes;
    for (size_t at = 0; at < weights.ahead_bytes; at += 64) _mm_prefetch(start + at, _MM_HINT_T0);
    Sums sums;
    for (size_t column = args.n_begin; column < args.n_end; column += kGroup) {
        const size_t left = args.n_end - column;
        const size_t n = left < kGroup ? left : kGroup;
        point_group(args, column, weights);
        for (size_t row = 0; row < args.m; row += n_rows) {
            const Rows x = {args.x.codes + row * args.x.n_limbs * limb_bytes, limb_bytes,
                            args.x.stream_bytes};
            if (args.x.n_limbs == kFixedPointLimbs) {
                dot_group<kType, kFixedPointLimbs>(weights, x, sums);
                __m128i digits[kFixedPointLimbs];
                for (size_t i = 0; i < kFixedPointLimbs; ++i) {
                    digits[i] = reduce_group(sums.part[i]);
                }
                finish_limbs(args, Traits<kType>::kZero, digits, row, column, n);
                continue;
            }
            const size_t m = args.m - row < kFewRows ? args.m - row : kFewRows;
            if (m == 1) dot_group<kType, 1>(weights, x, sums);
            if (m == 2) dot_group<kType, 2>(weights, x, sums);
            if (m == 3) dot_group<kType, 3>(weights, x, sums);
            if (m == 4) dot_group<kType, 4>(weights, x, sums);
            for (size_t i = 0; i < m; ++i) {
                finish_row(args, Traits<kType>::kZero, reduce_group(sums.part[i]), row + i, column,
                           n);
            }
        }
    }
}

}  // namespace
}  // namespace gemlet
