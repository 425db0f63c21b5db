// The integer view that every quantised format shares: small signed codes in column order, and for
// each group of 16 columns a float scale and a float minimum. Kernels without a layout of their own
// multiply through it; dequantize_row is defined by it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quant/formats/weight_type.h"

namespace gemlet {

/// Columns that share one scale and one minimum in the integer view. Every format's own sub-block
/// is a multiple of it.
constexpr size_t kCodeGroup = 16;

/// Returns whether a type has an integer view: all but f32, f16 and bf16.
bool has_codes(WeightType type);

/// Returns whether a type's mins can differ from zero: q4_1, q5_1, q2_k, q4_k, q5_k.
bool has_mins(WeightType type);

/// Returns the largest magnitude of a code: 8 for q4_0, 128 for q8_0 (which may hold -128), 31 for
/// q5_k, 127 for iq4_nl. Zero for types without codes.
int code_range(WeightType type);

/// Fills the integer view of one row: weight[i] = scales[i/16] * codes[i] - mins[i/16].
/// Shapes: row [row_bytes(type, n_cols)], any alignment; codes [n_cols]; scales, mins
/// [ceil(n_cols/16)]. n_cols is a multiple of the type's block_weights. Formats without minimum get
/// mins of +0, which leaves the product's bits alone. q4_1 and q5_1 store +m, so mins = -m. The
/// per-row types i2r, i4r and i8r get scales of 1: their scale lies in another tensor. mxfp4 and
/// nvfp4 codes are the doubled levels (up to 12), their scales are halved to match.
/// Aliasing: none. Threads: pure. Errors: none; has_codes(type) is the caller's duty (otherwise
/// nothing is written). Any bytes are valid input; scales may come out infinite or NaN.
/// Source: GGUF specification, block formats; QAT mobile checkpoint, codes and scales.
void unpack_codes(WeightType type, const uint8_t* row, size_t n_cols, int8_t* codes, float* scales,
                  float* mins);

}  // namespace gemlet
