// The row operations with 4 floats in a register. Each header is written on the names of the one
// before.
// clang-format off
#include "kernels/vector/part_neon.h"
#include "kernels/vector/canonical_parts.h"
#include "kernels/vector/vector_rows.h"
// clang-format on

namespace gemlet {

extern const VectorVariant vector_neon;
const VectorVariant vector_neon = {
    .name = "neon",
    .isa = Isa::neon,
    .rms_norm = rms_norm,
    .gelu_mul = gelu_mul,
    .sigmoid_mul = sigmoid_mul,
    .soft_cap = soft_cap,
    .add_scale = add_scale,
    .scale = scale,
    .axpy = axpy,
    .rope = rope,
    .to_f16 = to_f16,
    .to_i8 = to_i8,
    .from_i8 = from_i8,
    .max_abs = max_abs,
    .softmax_exp = softmax_exp,
};

}  // namespace gemlet
