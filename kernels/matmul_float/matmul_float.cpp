// The variants built in.
#include "kernels/matmul_float/matmul_float.h"

namespace gemlet {

extern const MatmulFloatVariant matmul_float_scalar;
#ifdef GEMLET_X86_KERNELS
extern const MatmulFloatVariant matmul_float_avx2;
extern const MatmulFloatVariant matmul_float_avx512;
#endif

namespace {

constexpr const MatmulFloatVariant* kVariants[] = {
#ifdef GEMLET_X86_KERNELS
    &matmul_float_avx512,
    &matmul_float_avx2,
#endif
    &matmul_float_scalar,
};

}  // namespace

std::span<const MatmulFloatVariant* const> matmul_float_variants() { return kVariants; }

}  // namespace gemlet
