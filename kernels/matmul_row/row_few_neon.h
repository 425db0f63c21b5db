// A few activation rows (1..3 at a time, or the three limbs of one) for all ARM variants: kGroup
// weight rows are unpacked in registers and multiplied with all of them.
//
// A policy says how (Few below): kStreams, kZero and unpack as in Fields, Sum (the sums of one
// output), add (the products of 16 weight bytes' fields), kChunksInSum (chunks until settle must
// be called), total (the sums in four lanes).
#pragma once

#include "kernels/matmul_row/row_finish_neon.h"

namespace gemlet {
namespace {

constexpr size_t kMaxMr = 3;

// Rows are short (768 bytes for 1536 int4 columns) and kGroup of them are read side by side, so the
// next groups are asked for line after line in the order of addresses.
constexpr size_t kPrefetchBytes = 4096;

// Packed weight rows of a group.
struct Group {
    const uint8_t* rows[kGroup];
    size_t row_bytes;
    size_t ahead_bytes;  // distance of the prefetches, a whole number of groups
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

// Adds 16 weight bytes of kNr rows to the sums.
template <class Few, size_t kMr, size_t kNr>
inline __attribute__((always_inline)) void add_chunk(const uint8x16_t (&raw)[kNr], const Rows& x,
                                                     size_t byte,
                                                     typename Few::Sum (&sums)[kMr][kNr]) {
    int8x16_t codes[kMr][Few::kStreams];
#pragma GCC unroll 16
    for (size_t i = 0; i < kMr * Few::kStreams; ++i) {
        const size_t s = i % Few::kStreams;
        codes[i / Few::kStreams][s] = vld1q_s8(x.at(i / Few::kStreams, s, byte));
    }
#pragma GCC unroll 8
    for (size_t r = 0; r < kNr; ++r) {
        int8x16_t fields[Few::kStreams];
        Few::unpack(raw[r], fields);
#pragma GCC unroll 8
        for (size_t i = 0; i < kMr; ++i) {
#pragma GCC unroll 4
            for (size_t s = 0; s < Few::kStreams; ++s) {
                Few::add(sums[i][r], fields[s], codes[i][s]);
            }
        }
    }
}

// Multiplies kMr activation rows with weight rows first..first+kNr-1 of a group.
template <class Few, size_t kMr, size_t kNr>
void dot_rows(const Group& weights, const Rows& x, size_t first, int32x4_t (&out)[kMaxMr][kGroup]) {
    typename Few::Sum sums[kMr][kNr] = {};
    uint8x16_t raw[kNr];
    const size_t full_bytes = weights.row_bytes / kChunk * kChunk;
    const uint8_t* ahead = weights.rows[0] + weights.ahead_bytes;
    size_t byte = 0;
    while (byte < full_bytes) {
        const size_t limit = byte + Few::kChunksInSum * kChunk;
        const size_t end = limit < full_bytes ? limit : full_bytes;
        for (; byte < end; byte += kChunk) {
            if (first == 0) __builtin_prefetch(ahead + byte * kGroup);
#pragma GCC unroll 8
            for (size_t r = 0; r < kNr; ++r) raw[r] = vld1q_u8(weights.rows[first + r] + byte);
            add_chunk<Few>(raw, x, byte, sums);
        }
#pragma GCC unroll 12
        for (size_t i = 0; i < kMr * kNr; ++i) Few::settle(sums[i / kNr][i % kNr]);
    }
    if (byte < weights.row_bytes) {
#pragma GCC unroll 8
        for (size_t r = 0; r < kNr; ++r) {
            raw[r] = load_part(weights.rows[first + r] + byte, weights.row_bytes - byte);
        }
        add_chunk<Few>(raw, x, byte, sums);
    }
#pragma GCC unroll 12
    for (size_t i = 0; i < kMr * kNr; ++i) {
        Few::settle(sums[i / kNr][i % kNr]);
        out[i / kNr][first + i % kNr] = Few::total(sums[i / kNr][i % kNr]);
    }
}

template <class Few, size_t kMr>
void dot_group(const Group& weights, const Rows& x, int32x4_t (&out)[kMaxMr][kGroup]) {
    if constexpr (kMr <= 2) {
        dot_rows<Few, kMr, 4>(weights, x, 0, out);
    } else {
        dot_rows<Few, kMr, 2>(weights, x, 0, out);
        dot_rows<Few, kMr, 2>(weights, x, 2, out);
    }
}

// Rows beyond the range stand for the last one: computed, never stored.
inline void point_group(const MatmulRowArgs& args, size_t column, Group& weights) {
    for (size_t r = 0; r < kGroup; ++r) {
        const size_t n = column + r < args.n_end ? column + r : args.n_end - 1;
        weights.rows[r] = args.weights + n * args.weight_stride_bytes;
    }
}

template <class Few>
void run_few(const MatmulRowArgs& args) {
    Group weights;
    weights.row_bytes = (args.k + Few::kStreams - 1) / Few::kStreams;
    const size_t group_bytes = kGroup * args.weight_stride_bytes;
    weights.ahead_bytes =
        group_bytes == 0 ? 0 : (kPrefetchBytes + group_bytes - 1) / group_bytes * group_bytes;
    const size_t limb_bytes = Few::kStreams * args.x.stream_bytes;
    const size_t n_rows = args.x.n_limbs == kFixedPointLimbs ? 1 : kMaxMr;
    int32x4_t sums[kMaxMr][kGroup];
    for (size_t column = args.n_begin; column < args.n_end; column += kGroup) {
        const size_t left = args.n_end - column;
        const size_t n = left < kGroup ? left : kGroup;
        point_group(args, column, weights);
        for (size_t row = 0; row < args.m; row += n_rows) {
            const Rows x = {args.x.codes + row * args.x.n_limbs * limb_bytes, limb_bytes,
                            args.x.stream_bytes};
            if (args.x.n_limbs == kFixedPointLimbs) {
                dot_group<Few, kFixedPointLimbs>(weights, x, sums);
                int32x4_t digits[kFixedPointLimbs];
                for (size_t i = 0; i < kFixedPointLimbs; ++i) digits[i] = reduce_group(sums[i]);
                finish_limbs(args, Few::kZero, digits, row, column, n);
                continue;
            }
            const size_t m = args.m - row < kMaxMr ? args.m - row : kMaxMr;
            if (m == 1) dot_group<Few, 1>(weights, x, sums);
            if (m == 2) dot_group<Few, 2>(weights, x, sums);
            if (m == 3) dot_group<Few, 3>(weights, x, sums);
            for (size_t i = 0; i < m; ++i) {
                finish_row(args, Few::kZero, reduce_group(sums[i]), row + i, column, n);
            }
        }
    }
}

}  // namespace
}  // namespace gemlet
