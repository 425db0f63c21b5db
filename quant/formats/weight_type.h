// Names, block sizes and byte sizes of every weight type that a checkpoint may hold. The type says
// how a row of numbers lies in memory; what a scale means is each format's own file.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gemlet {

/// Weight types. The first group is plain numbers, the second ggml's blocks (a row is a whole
/// number of blocks), the third per-row integers of the QAT mobile format (one float scale per row,
/// kept in a tensor of its own; rows are padded to a whole byte).
enum class WeightType : uint8_t {
    f32,
    f16,
    bf16,
    q4_0,
    q4_1,
    q5_0,
    q5_1,
    q8_0,
    q2_k,
    q3_k,
    q4_k,
    q5_k,
    q6_k,
    iq2_xxs,
    iq2_xs,
    iq2_s,
    iq3_xxs,
    iq3_s,
    iq4_nl,
    iq4_xs,
    tq1_0,
    tq2_0,
    mxfp4,
    nvfp4,
    q1_0,
    q2_0,
    i2r,
    i4r,
    i8r,
};
constexpr size_t kWeightTypes = 29;

struct WeightTypeInfo {
    WeightType type;
    const char* name;      // lower case, as the enumerator
    size_t block_weights;  // weights in one block; 1 for plain numbers
    size_t block_bytes;    // bytes of one block; 0 for i2r and i4r, whose weights share bytes
    bool is_block;         // one of ggml's quantised block formats
};

/// Returns the facts of a type. Never fails: every enumerator has a row.
const WeightTypeInfo& weight_type_info(WeightType type);

/// Bytes of a row of n_cols weights. n_cols must be a multiple of block_weights.
size_t row_bytes(WeightType type, size_t n_cols);

}  // namespace gemlet
