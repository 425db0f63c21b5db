// The variants built in.
#include "kernels/vector/vector.h"

namespace gemlet {

extern const VectorVariant vector_scalar;
#ifdef GEMLET_X86_KERNELS
extern const VectorVariant vector_avx2;
extern const VectorVariant vector_avx512;
#endif
#ifdef GEMLET_ARM_KERNELS
extern const VectorVariant vector_neon;
#endif

namespace {

constexpr const VectorVariant* kVariants[] = {
#ifdef GEMLET_X86_KERNELS
    &vector_avx512,
    &vector_avx2,
#endif
#ifdef GEMLET_ARM_KERNELS
    &vector_neon,
#endif
    &vector_scalar,
};

}  // namespace

std::span<const VectorVariant* const> vector_variants() { return kVariants; }

}  // namespace gemlet
