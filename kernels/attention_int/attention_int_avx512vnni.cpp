// Attention in integers, 32 products and their sums in one instruction. Each header is written on
// the names of the one before.
// clang-format off
#include "kernels/vector/part_avx512.h"
#include "kernels/vector/canonical_parts.h"
#include "kernels/attention/attention_softmax.h"
#include "kernels/attention_int/int_part_avx512.h"
// clang-format on

namespace gemlet {
namespace {

// sum + the products of neighbouring codes.
inline IntSums int_madd(IntSums sum, IntPart a, IntPart b) {
    return _mm512_dpwssd_epi32(sum, a, b);
}

}  // namespace
}  // namespace gemlet

#include "kernels/attention/attention_steps.h"
#include "kernels/attention_int/attention_int_blocks.h"

namespace gemlet {

extern const AttentionVariant attention_int_avx512vnni;
const AttentionVariant attention_int_avx512vnni =
    with_steps<IntSteps>("avx512vnni", Isa::avx512vnni, run);

}  // namespace gemlet
