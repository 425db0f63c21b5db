// Attention with 4 floats in a register. Each header is written on the names of the one before.
// clang-format off
#include "kernels/vector/part_neon.h"
#include "kernels/vector/canonical_parts.h"
#include "kernels/vector/dot_tile.h"
#include "kernels/vector/lane_order.h"
#include "kernels/attention/attention_blocks.h"
#include "kernels/attention/attention_steps.h"
// clang-format on

namespace gemlet {

extern const AttentionVariant attention_neon;
const AttentionVariant attention_neon = with_steps<FloatSteps>("neon", Isa::neon, run);

}  // namespace gemlet
