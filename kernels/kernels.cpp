// Picks a row of the kernel table. Variant lists are ordered best first and end with scalar, which
// every machine has, so the first allowed entry is the answer.
#include "kernels/kernels.h"

namespace gemlet {
namespace {

template <class Variant>
const Variant* best_of(std::span<const Variant* const> variants, IsaSet available) {
    for (const Variant* variant : variants) {
        if (available.has(variant->isa)) return variant;
    }
    return variants.back();
}

}  // namespace

Kernels select_kernels(IsaSet available) {
    return {
        .vector = best_of(vector_variants(), available),
        .matmul_float = best_of(matmul_float_variants(), available),
        .matmul_row = best_of(matmul_row_variants(), available),
        .matmul_block = best_of(matmul_block_variants(), available),
        .attention = best_of(attention_variants(), available),
        .attention_int = best_of(attention_int_variants(), available),
    };
}

}  // namespace gemlet
