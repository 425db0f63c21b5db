// The row operations with 8 floats in a register. Each header is written on the names of the one
// before.
// clang-format off
#include "kernels/vector/part_avx2.h"
#include "kernels/vector/canonical_parts.h"
#include "kernels/vector/vector_rows.h"
// clang-format on

namespace gemlet {

extern const VectorVariant vector_avx2;
const VectorVariant vector_avx2 = rows_variant("avx2", Isa::avx2);

}  // namespace gemlet
