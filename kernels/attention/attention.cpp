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
// Per query and block of a shared call: factors, their codes (two in a float), correction and unit.
constexpr size_t kSharedFloatsPerBlock = kAttentionBlock + kAttentionBlock / 2 + 2;

}  // namespace

size_t attention_scratch_floats(size_t n_queries, size_t head_dim) {
    return n_queries * (head_dim + kFloatsPerQuery) + kConvertedKeys * head_dim + kSlackFloats;
}

size_t attention_blocks(const AttentionArgs& args) {
    int32_t begin = args.first[0];
    int32_t end = args.last[0];
    for (size_t i = 1; i < args.n_queries; ++i) {
        if (args.first[i] < begin) begin = args.first[i];
        if (args.last[i] > end) end = args.last[i];
    }
    constexpr auto kBlock = static_cast<int32_t>(kAttentionBlock);
    return static_cast<size_t>((end - 1) / kBlock - begin / kBlock + 1);
}

size_t attention_shared_floats(size_t n_queries, size_t head_dim, size_t n_blocks) {
    return n_queries * (head_dim + 16 + 1 + n_blocks * kSharedFloatsPerBlock) + kSlackFloats;
}

std::span<const AttentionVariant* const> attention_variants() { return kVariants; }

}  // namespace gemlet
