// Attention in integers, 16 products and their sums in one instruction. Each header is written on
// the names of the one before.
// clang-format off
#include "kernels/vector/part_avx2.h"
#include "kernels/vector/canonical_parts.h"
#include "kernels/attention/attention_softmax.h"
#include "kernels/attention_int/int_part_avx2.h"
// clang-format on

namespace gemlet {
namespace {

// sum + the products of neighbouring codes.
inline IntSums int_madd(IntSums sum, IntPart a, IntPart b) {
    return _mm256_dpwssd_avx_epi32(sum, a, b);
}

}  // namespace
}  // namespace gemlet

#include "kernels/attention/attention_steps.h"
#include "kernels/attention_int/attention_int_blocks.h"

namespace gemlet {

extern const AttentionVariant attention_int_avxvnni;
const AttentionVariant attention_int_avxvnni = with_steps<IntSteps>("avxvnni", Isa::avxvnni, run);

}  // namespace gemlet
