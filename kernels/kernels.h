// The kernel table: one variant of each family, chosen once when an engine is made.
#pragma once

#include "kernels/attention/attention.h"
#include "kernels/attention_int/attention_int.h"
#include "kernels/isa.h"
#include "kernels/matmul_block/matmul_block.h"
#include "kernels/matmul_float/matmul_float.h"
#include "kernels/matmul_row/matmul_row.h"
#include "kernels/vector/vector.h"

namespace gemlet {

struct Kernels {
    const VectorVariant* vector;
    const MatmulFloatVariant* matmul_float;
    const MatmulRowVariant* matmul_row;
    const MatmulBlockVariant* matmul_block;
    const AttentionVariant* attention;
    const AttentionVariant* attention_int;
};

/// Returns the best variant of every family among the instruction sets in `available`. Pure.
Kernels select_kernels(IsaSet available);

}  // namespace gemlet
