// Attention in integers, 8 products and their sums in two instructions. Each header is written on
// the names of the one before.
// clang-format off
#include "kernels/vector/part_neon.h"
#include "kernels/vector/canonical_parts.h"
#include "kernels/attention/attention_softmax.h"
#include "kernels/attention_int/int_part_neon.h"
#include "kernels/attention_int/attention_int_blocks.h"
#include "kernels/attention/attention_steps.h"
// clang-format on

namespace gemlet {

extern const AttentionVariant attention_int_neon;
const AttentionVariant attention_int_neon = with_steps<IntSteps>("neon", Isa::neon, run);

}  // namespace gemlet
