// The variants built in, and the size of the scratch that any of them needs.
#include "kernels/attention_int/attention_int.h"

namespace gemlet {

extern const AttentionVariant attention_int_scalar;
#ifdef GEMLET_X86_KERNELS
extern const AttentionVariant attention_int_avx2;
extern const AttentionVariant attention_int_avxvnni;
extern const AttentionVariant attention_int_avx512;
extern const AttentionVariant attention_int_avx512vnni;
#endif
#ifdef GEMLET_ARM_KERNELS
extern const AttentionVariant attention_int_neon;
#endif

namespace {

constexpr const AttentionVariant* kVariants[] = {
#ifdef GEMLET_X86_KERNELS
    &attention_int_avx512vnni, &attention_int_avx512, &attention_int_avxvnni, &attention_int_avx2,
#endif
#ifdef GEMLET_ARM_KERNELS
    &attention_int_neon,
#endif
    &attention_int_scalar,
};

// Per query: the output row, the codes of the query (two in a float, rows rounded up to 32), a
// block of factors and one of codes, 16 lanes of the sum, maximum, correction and two units.
constexpr size_t kFloatsPerQuery = 3 * kAttentionBlock / 2 + 16 + 4 + 16;
// Eight keys as 16-bit codes, and room to align the parts.
constexpr size_t kConvertedKeys = 4;
constexpr size_t kSlackFloats = 256;

}  // namespace

size_t attention_int_scratch_floats(size_t n_queries, size_t head_dim) {
    return n_queries * (head_dim + head_dim / 2 + kFloatsPerQuery) +
           kConvertedKeys * (head_dim + 32) + kSlackFloats;
}

std::span<const AttentionVariant* const> attention_int_variants() { return kVariants; }

}  // namespace gemlet
