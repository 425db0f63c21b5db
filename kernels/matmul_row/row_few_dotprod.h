// Few rows with the dot product instruction, for dotprod and i8mm: four products are added to each
// 32-bit lane, so sums never need widening.
#pragma once

#include "kernels/matmul_row/row_few_neon.h"

namespace gemlet {
namespace {

template <WeightType kType>
struct Few : Fields<kType> {
    static constexpr size_t kChunksInSum = size_t{1} << 20;
    using Sum = int32x4_t;
    static inline __attribute__((always_inline)) void add(Sum& sum, int8x16_t fields,
                                                          int8x16_t codes) {
        sum = vdotq_s32(sum, fields, codes);
    }
    static void settle(Sum& /*sum*/) {}
    static int32x4_t total(const Sum& sum) { return sum; }
};

}  // namespace
}  // namespace gemlet
