// The variants built in.
#include "kernels/vector/vector.h"

namespace gemlet {

extern const VectorVariant vector_scalar;

namespace {

constexpr const VectorVariant* kVariants[] = {
    &vector_scalar,
};

}  // namespace

std::span<const VectorVariant* const> vector_variants() { return kVariants; }

}  // namespace gemlet
