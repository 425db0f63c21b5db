// Attention with 8 floats in a register. Each header is written on the names of the one before.
// clang-format off
#include "kernels/vector/part_avx2.h"
#include "kernels/vector/canonical_parts.h"
#include "kernels/vector/dot_tile.h"
#include "kernels/vector/lane_order.h"
#include "kernels/attention/attention_blocks.h"
#include "kernels/attention/attention_steps.h"
// clang-format on

namespace gemlet {

extern const AttentionVariant attention_avx2;
const AttentionVariant attention_avx2 = with_steps<FloatSteps>("avx2", Isa::avx2, run);

}  // namespace gemlet
