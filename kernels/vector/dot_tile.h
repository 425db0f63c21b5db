// Tiles of canonical dot products: kRows input rows times four weight rows, each output in 16 lanes
// of its own, so that its bits do not depend on the tile it falls into. Included after
// canonical_parts.h; everything has internal linkage.
//
// Registers with AVX2: one half of the 16 lanes at a time, so that 3 x 4 sums, 3 inputs and one
// weight fill 16 registers: 7 loads for 12 multiply-adds, where all lanes at once would allow 2 x 3
// outputs and need 10. A single row takes all lanes in one pass: its weights come from memory, not
// from the first-level cache. With AVX-512: 4 x 4 sums, 8 loads for 16 multiply-adds; with NEON the
// same, a quarter of the lanes at a time.
#pragma once

namespace gemlet {
namespace {

constexpr size_t kTileColumns = 4;
// Elements that a pass over half of the lanes takes before the other half follows: both halves of a
// cache line are read while it is in the first-level cache. With whole rows of 1536 f32 weights the
// second pass fetched every line again: 38 % of the peak instead of 52 %.
constexpr size_t kChunk = 512;

// How weights become floats. load_first: n <= kPartLanes, the rest 0, nothing behind is touched.
struct WeightsF32 {
    static constexpr size_t kBytes = 4;
    static Part load(const uint8_t* from) {
        return part_load(reinterpret_cast<const float*>(from));
    }
};
struct WeightsF16 {
    static constexpr size_t kBytes = 2;
    static Part load(const uint8_t* from) { return part_load_f16(from); }
};
struct WeightsBf16 {
    static constexpr size_t kBytes = 2;
    static Part load(const uint8_t* from) { return part_load_bf16(from); }
};
struct WeightsI8 {
    static constexpr size_t kBytes = 1;
    static Part load(const uint8_t* from) { return part_load_i8(from); }
};

template <class Weights>
inline Part load_first_weights(const uint8_t* from, size_t n) {
    uint8_t bytes[kPartLanes * Weights::kBytes] = {};
    memcpy(bytes, from, n * Weights::kBytes);
    return Weights::load(bytes);
}

template <size_t kRows, size_t kColumns, size_t kAtOnce>
inline void copy_parts(const Part (&from)[kRows][kColumns][kAtOnce],
                       Part (&to)[kRows][kColumns][kAtOnce]) {
#pragma GCC unroll 16
    for (size_t i = 0; i < kRows * kColumns * kAtOnce; ++i) {
        constexpr size_t kRow = kColumns * kAtOnce;
        to[i / kRow][i / kAtOnce % kColumns][i % kAtOnce] =
            from[i / kRow][i / kAtOnce % kColumns][i % kAtOnce];
    }
}

// Adds the products of the elements begin .. end - 1, of those the lanes of the parts first_part ..
// first_part + kAtOnce - 1. begin is a multiple of 16; behind end there is nothing to read.
template <size_t kRows, size_t kColumns, size_t kAtOnce, class Weights>
inline void add_products(const float* x, size_t x_stride, const uint8_t* const* w,
                         size_t ahead_bytes, size_t begin, size_t end, size_t first_part,
                         Part (&total)[kRows][kColumns][kAtOnce]) {
    Part sums[kRows][kColumns][kAtOnce];
    copy_parts(total, sums);
    const size_t whole = end / 16 * 16;
    for (size_t i = begin + first_part * kPartLanes; i < whole; i += 16) {
#pragma GCC unroll 4
        for (size_t part = 0; part < kAtOnce; ++part) {
            const size_t at = i + part * kPartLanes;
            Part in[kRows];
#pragma GCC unroll 4
            for (size_t row = 0; row < kRows; ++row) in[row] = part_load(x + row * x_stride + at);
#pragma GCC unroll 4
            for (size_t column = 0; column < kColumns; ++column) {
                const uint8_t* from = w[column] + at * Weights::kBytes;
                if (kRows == 1 && part == 0) {
                    __builtin_prefetch(from + ahead_bytes);
                }
                const Part weight = Weights::load(from);
#pragma GCC unroll 4
                for (size_t row = 0; row < kRows; ++row) {
                    Part& sum = sums[row][column][part];
                    sum = part_fma(in[row], weight, sum);
                }
            }
        }
    }
    copy_parts(sums, total);
    if (whole == end) return;
    for (size_t part = 0; part < kAtOnce; ++part) {
        const size_t n = lanes_in_part(end - whole, first_part + part);
        const size_t at = n == 0 ? 0 : whole + (first_part + part) * kPartLanes;
        for (size_t column = 0; column < kColumns; ++column) {
            const Part weight = load_first_weights<Weights>(w[column] + at * Weights::kBytes, n);
            for (size_t row = 0; row < kRows; ++row) {
                Part& sum = total[row][column][part];
                sum = part_fma(part_load_first(x + row * x_stride + at, n), weight, sum);
            }
        }
    }
}

// out[row]: the dot products of input row `row` with the kColumns (1 or 4) weight rows.
// A single row is bound by memory: it asks for the weights ahead_bytes behind those in use.
template <size_t kRows, size_t kColumns, class Weights>
inline void dot_tile(const float* x, size_t x_stride, const uint8_t* const* w, size_t k,
                     size_t ahead_bytes, Four (&out)[kRows]) {
    constexpr size_t kAtOnce = kRows == 1 || kColumns == 1 ? kParts : 1;
    constexpr size_t kPasses = kParts / kAtOnce;
    Part sums[kPasses][kRows][kColumns][kAtOnce] = {};
    for (size_t begin = 0; begin < k; begin += kChunk) {
        const size_t end = kPasses == 1 || k - begin <= kChunk ? k : begin + kChunk;
        for (size_t pass = 0; pass < kPasses; ++pass) {
            add_products<kRows, kColumns, kAtOnce, Weights>(x, x_stride, w, ahead_bytes, begin, end,
                                                            pass * kAtOnce, sums[pass]);
        }
        if (end == k) break;
    }
    Joined joined[kRows][kColumns];
#pragma GCC unroll 16
    for (size_t i = 0; i < kRows * kColumns; ++i) {
        const size_t row = i / kColumns;
        const size_t column = i % kColumns;
        Part lanes[kParts];
#pragma GCC unroll 4
        for (size_t part = 0; part < kParts; ++part) {
            lanes[part] = sums[part / kAtOnce][row][column][part % kAtOnce];
        }
        joined[row][column] = join_parts(lanes);
    }
#pragma GCC unroll 4
    for (size_t row = 0; row < kRows; ++row) {
        constexpr size_t kLast = kColumns - 1;
        out[row] = tree_of_four(joined[row][0], joined[row][kLast < 1 ? kLast : 1],
                                joined[row][kLast < 2 ? kLast : 2], joined[row][kLast]);
    }
}

}  // namespace
}  // namespace gemlet
