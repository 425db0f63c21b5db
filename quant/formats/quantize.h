// From float32 to stored rows by rounding to nearest: one pass over a block, no search and no
// calibration data. Tests build their weights with it; error-compensated rounding is
// quant/convert's.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quant/formats/weight_type.h"

namespace gemlet {

/// Returns whether quantize_row writes a type: f32, f16, bf16, q4_0, q4_1, q5_0, q5_1, q8_0, q2_k
/// to q6_k and iq4_nl.
bool can_quantize(WeightType type);

/// Quantizes one row. Returns false, with nothing written, if the type has no quantizer.
/// Shapes: values [n_cols], row [row_bytes(type, n_cols)]. n_cols is a multiple of block_weights.
/// Scales come from the largest magnitude (or the range) of each sub-block and codes are rounded
/// with the scale as stored, so that w = dequantized value obeys, with s the sub-block's scale:
/// |x - w| <= s/2 wherever x is inside the representable range, else x is clamped to its end.
/// Values beyond a half's range saturate. NaN becomes some number, never a fault.
/// Aliasing: none. Threads: pure.
bool quantize_row(WeightType type, const float* values, size_t n_cols, uint8_t* row);

}  // namespace gemlet
