// Tiles of canonical dot products: kRows input rows times four weight rows, each output in 16 lanes
// of its own, so that its bits do not depend on the tile it falls into. Included after
// canonical_parts.h; everything has internal linkage.
//
// Registers with AVX2: one half of the 16 lanes at a time, so that 3 x 4 sums, 3 inputs and one
// weight fill 16 registers: 7 loads for 12 multiply-adds, where all lanes at once would allow 2 x 3
// outputs and need 10. A single row takes all lanes in one pass: its weights come from memory, not
// from the first-level cache. With AVX-512: 4 x 4 sums, 8 loads for 16 multiply-adds.
#pragma once

namespace gemlet {
namespace {

constexpr size_t kTileColumns = 4;

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

// Adds the products of the lanes first_part .. first_part + kAtOnce - 1 of all elements to sums.
template <size_t kRows, size_t kColumns, size_t kAtOnce, class Weights>
inline void add_products(const float* x, size_t x_stride, const uint8_t* const* w, size_t k,
                         size_t first_part, Part (&sums)[kRows][kColumns][kAtOnce]) {
    const size_t whole = k / 16 * 16;
    for (size_t i = first_part * kPartLanes; i < whole; i += 16) {
#pragma GCC unroll 4
        for (size_t part = 0; part < kAtOnce; ++part) {
            const size_t at = i + part * kPartLanes;
            Part in[kRows];
#pragma GCC unroll 4
            for (size_t row = 0; row < kRows; ++row) in[row] = part_load(x + row * x_stride + at);
#pragma GCC unroll 4
            for (size_t column = 0; column < kColumns; ++column) {
                const Part weight = Weights::load(w[column] + at * Weights::kBytes);
#pragma GCC unroll 4
                for (size_t row = 0; row < kRows; ++row) {
                    Part& sum = sums[row][column][part];
                    sum = part_fma(in[row], weight, sum);
                }
            }
        }
    }
    if (whole == k) return;
    for (size_t part = 0; part < kAtOnce; ++part) {
        const size_t n = lanes_in_part(k - whole, first_part + part);
        const size_t at = n == 0 ? 0 : whole + (first_part + part) * kPartLanes;
        for (size_t column = 0; column < kColumns; ++column) {
            const Part weight = load_first_weights<Weights>(w[column] + at * Weights::kBytes, n);
            for (size_t row = 0; row < kRows; ++row) {
                Part& sum = sums[row][column][part];
                sum = part_fma(part_load_first(x + row * x_stride + at, n), weight, sum);
            }
        }
    }
}

// out[row]: the dot products of input row `row` with the kColumns (1 or 4) weight rows.
template <size_t kRows, size_t kColumns, class Weights>
inline void dot_tile(const float* x, size_t x_stride, const uint8_t* const* w, size_t k,
                     __m128 (&out)[kRows]) {
    constexpr size_t kAtOnce = kRows == 1 || kColumns == 1 ? kParts : 1;
    __m256 eight[kRows][kColumns];
#pragma GCC unroll 2
    for (size_t first = 0; first < kParts; first += kAtOnce) {
        Part sums[kRows][kColumns][kAtOnce];
#pragma GCC unroll 16
        for (size_t i = 0; i < kRows * kColumns * kAtOnce; ++i) {
            sums[i / (kColumns * kAtOnce)][i / kAtOnce % kColumns][i % kAtOnce] = part_zero();
        }
        add_products<kRows, kColumns, kAtOnce, Weights>(x, x_stride, w, k, first, sums);
#pragma GCC unroll 16
        for (size_t i = 0; i < kRows * kColumns; ++i) {
            const size_t row = i / kColumns;
            const size_t column = i % kColumns;
            __m256 sum = part_fold(sums[row][column][0]);
            if (kAtOnce == 2) sum = _mm256_add_ps(sum, part_fold(sums[row][column][kAtOnce - 1]));
            eight[row][column] = first == 0 ? sum : _mm256_add_ps(eight[row][column], sum);
        }
    }
#pragma GCC unroll 4
    for (size_t row = 0; row < kRows; ++row) {
        constexpr size_t kLast = kColumns - 1;
        out[row] = tree_of_four(eight[row][0], eight[row][kLast < 1 ? kLast : 1],
                                eight[row][kLast < 2 ? kLast : 2], eight[row][kLast]);
    }
}

}  // namespace
}  // namespace gemlet
