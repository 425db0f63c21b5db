// A few activation rows with 256-bit registers, for AVX2 and AVX-VNNI: kGroup weight rows at a time
// are unpacked in registers and multiplied with up to kMaxMr activation rows. A limb of a
// fixed-point row is multiplied like a row, and limbs are joined when all their sums are there.
//
// A policy says how (Few below): kStreams, kZero (what a field has too much), add_chunk (adds 32
// weight bytes of some rows to sums), kChunksInSum (chunks until these must be widened), widened.
#pragma once

#include "kernels/matmul_row/row_finish_avx2.h"

namespace gemlet {
namespace {

constexpr size_t kChunk = 32;  // bytes of a register
constexpr size_t kMaxMr = 4;
constexpr size_t kMaxFew = 8;  // rows, or limbs of them, that run_few takes

// Bytes beyond n are zero and not read.
inline __m256i load_part(const uint8_t* p, size_t n) {
    alignas(kChunk) uint8_t copy[kChunk] = {};
    memcpy(copy, p, n);
    return load(copy);
}

// Field `index` of every weight byte; fields have kBits bits each.
template <int kBits>
inline __m256i field_at(__m256i raw, size_t index) {
    const __m256i mask = _mm256_set1_epi8((1 << kBits) - 1);
    return _mm256_and_si256(_mm256_srli_epi16(raw, static_cast<int>(index) * kBits), mask);
}

struct Sums {
    __m256i part[kMaxMr][kGroup];  // [activation row, weight row], 8 lanes still to be added
};

// Rows are short (768 bytes for 1536 int4 columns) and kGroup of them are read side by side, a
// pattern the hardware does not foresee. So the next groups are asked for here, line after line in
// the order of addresses (asking row by row, as they will be read, gave a third of the speed). A
// group of long rows, beside the one in use and the activations, would push these out of the first
// cache, so it is asked into the second (k = 6144 of int4: 15 GB/s from memory became 19).
constexpr size_t kPrefetchBytes = 4096;
constexpr size_t kLongGroupBytes = 6144;

// Packed weight rows of a group.
struct Group {
    const uint8_t* rows[kGroup];
    size_t row_bytes;
    size_t ahead_bytes;  // distance of the prefetches, a whole number of groups
    bool long_rows;
};

// Activations of up to kMaxMr rows (or limbs).
struct Rows {
    const int8_t* codes;
    size_t row_bytes;
    size_t stream_bytes;
    const int8_t* at(size_t row, size_t stream, size_t byte) const {
        return codes + row * row_bytes + stream * stream_bytes + byte;
    }
};

template <class Few, size_t kMr, size_t kNr>
inline __attribute__((always_inline)) void widen_sums(__m256i (&narrow)[kMr][kNr],
                                                      __m256i (&wide)[kMr][kNr]) {
#pragma GCC unroll 8
    for (size_t i = 0; i < kMr; ++i) {
#pragma GCC unroll 8
        for (size_t r = 0; r < kNr; ++r) {
            wide[i][r] = _mm256_add_epi32(wide[i][r], Few::widened(narrow[i][r]));
            narrow[i][r] = _mm256_setzero_si256();
        }
    }
}

// Multiplies kMr activation rows with weight rows first..first+kNr-1 of a group.
template <class Few, size_t kMr, size_t kNr>
void dot_rows(const Group& weights, const Rows& x, size_t first, Sums& out) {
    __m256i narrow[kMr][kNr] = {};
    __m256i wide[kMr][kNr] = {};
    __m256i raw[kNr];
    const size_t full_bytes = weights.row_bytes / kChunk * kChunk;
    size_t byte = 0;
    while (byte < full_bytes) {
        const size_t limit = byte + Few::kChunksInSum * kChunk;
        const size_t end = limit < full_bytes ? limit : full_bytes;
        for (; byte < end; byte += kChunk) {
            const auto* ahead = reinterpret_cast<const char*>(weights.rows[0] +
                                                              weights.ahead_bytes + byte * kGroup);
            if (weights.long_rows) {
                _mm_prefetch(ahead, _MM_HINT_T1);
                _mm_prefetch(ahead + 64, _MM_HINT_T1);
            } else {
                _mm_prefetch(ahead, _MM_HINT_T0);
                _mm_prefetch(ahead + 64, _MM_HINT_T0);
            }
#pragma GCC unroll 8
            for (size_t r = 0; r < kNr; ++r) raw[r] = load(weights.rows[first + r] + byte);
            Few::add_chunk(raw, x, byte, narrow);
        }
        widen_sums<Few>(narrow, wide);
    }
    if (byte < weights.row_bytes) {
#pragma GCC unroll 8
        for (size_t r = 0; r < kNr; ++r) {
            raw[r] = load_part(weights.rows[first + r] + byte, weights.row_bytes - byte);
        }
        Few::add_chunk(raw, x, byte, narrow);
        widen_sums<Few>(narrow, wide);
    }
#pragma GCC unroll 8
    for (size_t i = 0; i < kMr; ++i) {
#pragma GCC unroll 8
        for (size_t r = 0; r < kNr; ++r) out.part[i][first + r] = wide[i][r];
    }
}

// Three or four activation rows leave registers for two weight rows.
template <class Few, size_t kMr>
void dot_group(const Group& weights, const Rows& x, Sums& out) {
    if constexpr (kMr <= 2) {
        dot_rows<Few, kMr, 4>(weights, x, 0, out);
    } else {
        dot_rows<Few, kMr, 2>(weights, x, 0, out);
        dot_rows<Few, kMr, 2>(weights, x, 2, out);
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

// Sums of up to kMaxMr rows from `x` on with a group of weight rows.
template <class Few>
void dot_rows_of_group(const Group& weights, const Rows& x, size_t n_rows, __m128i* totals) {
    Sums sums;
    if (n_rows == 1) dot_group<Few, 1>(weights, x, sums);
    if (n_rows == 2) dot_group<Few, 2>(weights, x, sums);
    if (n_rows == 3) dot_group<Few, 3>(weights, x, sums);
    if (n_rows == 4) dot_group<Few, 4>(weights, x, sums);
    for (size_t i = 0; i < n_rows; ++i) totals[i] = reduce_group(sums.part[i]);
}

// At most kMaxFew rows, or limbs.
template <class Few>
void run_few(const MatmulRowArgs& args) {
    constexpr size_t kStreams = Few::kStreams;
    constexpr int32_t kZero = Few::kZero;
    const size_t group_bytes = kGroup * args.weight_stride_bytes;
    Group weights = {};
    weights.row_bytes = (args.k + kStreams - 1) / kStreams;
    weights.ahead_bytes = (kPrefetchBytes + group_bytes - 1) / group_bytes * group_bytes;
    weights.long_rows = group_bytes >= kLongGroupBytes;
    const size_t row_bytes = kStreams * args.x.stream_bytes;
    const size_t n_rows = args.m * args.x.n_limbs;
    __m128i totals[kMaxFew];
    for (size_t column = args.n_begin; column < args.n_end; column += kGroup) {
        const size_t left = args.n_end - column;
        const size_t n = left < kGroup ? left : kGroup;
        point_group(args, column, weights);
        for (size_t row = 0; row < n_rows; row += kMaxMr) {
            const Rows x = {args.x.codes + row * row_bytes, row_bytes, args.x.stream_bytes};
            const size_t m = n_rows - row < kMaxMr ? n_rows - row : kMaxMr;
            dot_rows_of_group<Few>(weights, x, m, totals + row);
        }
        for (size_t row = 0; row < args.m; ++row) {
            if (args.x.n_limbs == kFixedPointLimbs) {
                finish_limbs(args, kZero, totals + row * kFixedPointLimbs, row, column, n);
            } else {
                finish_row(args, kZero, totals[row], row, column, n);
            }
        }
    }
}

}  // namespace
}  // namespace gemlet
