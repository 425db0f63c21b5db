// Attention in integers, 16 products in an instruction, their sums in another. Each header is
// written on the names of the one before.
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
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
    __asm__("" : "+x"(sum));  // g++ 12 would else move every sum to another register and back
    return sum;
}

}  // namespace
}  // namespace gemlet

#include "kernels/attention/attention_steps.h"
#include "kernels/attention_int/attention_int_blocks.h"

namespace gemlet {

extern const AttentionVariant attention_int_avx2;
const AttentionVariant attention_int_avx2 = with_steps<IntSteps>("avx2", Isa::avx2, run);

}  // namespace gemlet
