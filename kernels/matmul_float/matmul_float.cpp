// The variants built in.
#include "kernels/matmul_float/matmul_float.h"

namespace gemlet {

extern const MatmulFloatVariant matmul_float_scalar;

namespace {

constexpr const MatmulFloatVariant* kVariants[] = {
    &matmul_float_scalar,
};

}  // namespace

std::span<const MatmulFloatVariant* const> matmul_float_variants() { return kVariants; }

}  // namespace gemlet
