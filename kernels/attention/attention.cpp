// The variants built in, and the size of the scratch that any of them needs.
#include "kernels/attention/attention.h"

namespace gemlet {

extern const AttentionVariant attention_scalar;
#ifdef GEMLET_X86_KERNELS
extern const AttentionVariant attention_avx2;
extern const AttentionVariant attention_avx512;
#endif
#ifdef GEMLET_ARM_KERNELS
extern const AttentionVariant attention_neon;
#endif

namespace {

constexpr const AttentionVariant* kVariants[] = {
#ifdef GEMLET_X86_KERNELS
    &attention_avx512,
    &attention_avx2,
#endif
#ifdef GEMLET_ARM_KERNELS
    &attention_neon,
#endif
    &attention_scalar,
};

// Per query: the output row, a block of probabilities, 16 lanes of the sum, maximum and factor.
constexpr size_t kFloatsPerQuery = kAttentionBlock + 16 + 2;
// A block of converted keys, and room to align the start.
constexpr size_t kConvertedKeys = kAttentionBlock;
constexpr size_t kSlackFloats = 128;

}  // namespace

size_t attention_scratch_floats(size_t n_queries, size_t head_dim) {
    return n_queries * (head_dim + kFloatsPerQuery) + kConvertedKeys * head_dim + kSlackFloats;
}

std::span<const AttentionVariant* const> attention_variants() { return kVariants; }

}  // namespace gemlet
