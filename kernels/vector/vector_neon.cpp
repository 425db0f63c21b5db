// The row operations with 4 floats in a register. Each header is written on the names of the one
// before.
// clang-format off
#include "kernels/vector/part_neon.h"
#include "kernels/vector/canonical_parts.h"
#include "kernels/vector/vector_rows.h"
// clang-format on

namespace gemlet {

extern const VectorVariant vector_neon;
const VectorVariant vector_neon = rows_variant("neon", Isa::neon);

}  // namespace gemlet
