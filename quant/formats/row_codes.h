// The per-row integer types of the QAT mobile checkpoint: i2r, i4r, i8r. A row is nothing but
// codes, low field first, as offset binary (field = code + 2 or + 8); i8r holds signed bytes. The
// scale of a row lies in a tensor of its own, the zero point is 0.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quant/formats/weight_type.h"

namespace gemlet {

/// Packs codes into a row. type is i2r (codes -2..1), i4r (-8..7) or i8r (-128..127); codes outside
/// are clamped. Shapes: codes [n_cols]; row [row_bytes(type, n_cols)]. Fields past n_cols in the
/// last byte hold code 0. Aliasing: none. Other types write nothing.
/// Source: QAT mobile checkpoint, codes and scales.
void pack_codes(WeightType type, const int8_t* codes, size_t n_cols, uint8_t* row);

/// The inverse of pack_codes. Any bytes are valid; fields past n_cols are ignored.
void unpack_row_codes(WeightType type, const uint8_t* row, size_t n_cols, int8_t* codes);

}  // namespace gemlet
