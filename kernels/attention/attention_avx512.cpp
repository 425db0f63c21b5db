// Attention with 16 floats in a register. Each header is written on the names of the one before.
// clang-format off
#include "kernels/vector/part_avx512.h"
#include "kernels/vector/canonical_parts.h"
#include "kernels/vector/dot_tile.h"
#include "kernels/vector/lane_order.h"
#include "kernels/attention/attention_blocks.h"
#include "kernels/attention/attention_steps.h"
// clang-format on

namespace gemlet {

extern const AttentionVariant attention_avx512;
const AttentionVariant attention_avx512 = with_steps<FloatSteps>("avx512", Isa::avx512, run);

}  // namespace gemlet
