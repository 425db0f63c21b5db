// From float32 to stored rows with scales that are searched for, and with codes that somebody else
// has chosen: what quantize.h's rounding is when a little more time may be spent.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quant/formats/weight_type.h"

namespace gemlet {

/// Returns whether fit_row and store_codes know a block type: q4_0, q4_1, q5_0, q5_1, q8_0, iq4_nl,
/// iq4_xs and q2_k to q6_k.
bool can_fit(WeightType type);

/// Quantizes one row such that sum(importance[i] * (values[i] - w[i])^2) is small: scales (and
/// minimums) of the sub-blocks are tried around the range's and solved for by least squares, those
/// of the block follow, codes are rounded with what is stored. Never worse than a constant factor;
/// no optimum is promised.
/// Shapes: values [n_cols], importance [n_cols] finite and not negative, or null for equal weights;
/// row [row_bytes(type, n_cols)]; n_cols is a multiple of block_weights. Returns false, with
/// nothing written, if !can_fit(type). NaN becomes some number, never a fault. Aliasing: none.
/// Threads: pure.
bool fit_row(WeightType type, const float* values, const float* importance, size_t n_cols,
             uint8_t* row);

/// Finds the scale of a row of per-row integers (i2r, i4r, i8r) and its codes, by the same measure;
/// importance is not null.
/// Returns the scale, above zero and finite; codes [n_cols] in pack_codes' range.
float fit_codes(WeightType type, const float* values, const float* importance, size_t n_cols,
                int8_t* codes);

/// Replaces the codes of a row and keeps its scales and minimums: afterwards unpack_codes gives
/// these codes. Shapes: codes [n_cols]; codes that the type does not have become near ones.
/// !can_fit(type) is the caller's fault: nothing is written then.
void store_codes(WeightType type, const int8_t* codes, size_t n_cols, uint8_t* row);

/// Returns the code (as unpack_codes gives it) nearest to `value`, a weight divided by its scale.
/// Types: those of fit_row and the per-row integers. NaN gives some code.
int nearest_view_code(WeightType type, float value);

}  // namespace gemlet
