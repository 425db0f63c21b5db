// From stored rows to float32.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quant/formats/weight_type.h"

namespace gemlet {

/// Dequantizes one row of any type.
/// Shapes: row [row_bytes(type, n_cols)], any alignment; out [n_cols]. n_cols is a multiple of the
/// type's block_weights. i2r, i4r and i8r give the bare codes: their scale lies in another tensor.
/// Exact arithmetic: half scale to float32, scale times sub-scale, times code, minus minimum, each
/// step rounded; ggml's decoders give the same bits.
/// Aliasing: none. Threads: pure. Errors: none; any bytes are valid input.
/// Source: GGUF specification, block formats.
void dequantize_row(WeightType type, const uint8_t* row, size_t n_cols, float* out);

}  // namespace gemlet
