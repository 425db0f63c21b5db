// The row operations with 16 floats in a register. Each header is written on the names of the one
// before.
// clang-format off
#include "kernels/vector/part_avx512.h"
#include "kernels/vector/canonical_parts.h"
#include "kernels/vector/vector_rows.h"
// clang-format on

namespace gemlet {

extern const VectorVariant vector_avx512;
const VectorVariant vector_avx512 = rows_variant("avx512", Isa::avx512);

}  // namespace gemlet
