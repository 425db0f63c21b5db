// The kernel table: scalar is always there and last, a cap is obeyed, the expected set is chosen.
#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/kernels.h"

namespace gemlet {
namespace {

IsaSet everything() {
    IsaSet all;
    for (size_t i = 0; i < kIsas; ++i) all.add(static_cast<Isa>(i));
    return all;
}

template <class Variant>
void expect_ordered(std::span<const Variant* const> variants) {
    ASSERT_FALSE(variants.empty());
    EXPECT_EQ(variants.back()->isa, Isa::scalar);
    EXPECT_TRUE(std::is_sorted(variants.begin(), variants.end(),
                               [](const Variant* a, const Variant* b) { return a->isa > b->isa; }));
    EXPECT_EQ(std::count_if(variants.begin(), variants.end(),
                            [](const Variant* v) { return v->isa == Isa::scalar; }),
              1);
}

void expect_all_within(const Kernels& kernels, IsaSet set) {
    EXPECT_TRUE(set.has(kernels.vector->isa));
    EXPECT_TRUE(set.has(kernels.matmul_float->isa));
    EXPECT_TRUE(set.has(kernels.matmul_row->isa));
    EXPECT_TRUE(set.has(kernels.matmul_block->isa));
    EXPECT_TRUE(set.has(kernels.attention->isa));
}

TEST(SelectKernels, lists_are_best_first_and_end_with_scalar) {
    expect_ordered(vector_variants());
    expect_ordered(matmul_float_variants());
    expect_ordered(matmul_row_variants());
    expect_ordered(matmul_block_variants());
    expect_ordered(attention_variants());
}

TEST(SelectKernels, an_empty_set_gives_scalar) {
    expect_all_within(select_kernels(IsaSet{}), IsaSet{});
    expect_all_within(select_kernels(IsaSet{0}), IsaSet{});
}

TEST(SelectKernels, a_cap_is_obeyed) {
    for (size_t i = 0; i < kIsas; ++i) {
        const IsaSet capped = cap_isas(everything(), static_cast<Isa>(i));
        EXPECT_TRUE(capped.has(static_cast<Isa>(i)));
        expect_all_within(select_kernels(capped), capped);
    }
    EXPECT_EQ(cap_isas(everything(), Isa::scalar).bits, 1U);
}

TEST(SelectKernels, the_best_variant_built_in_is_chosen) {
    const Kernels kernels = select_kernels(everything());
    EXPECT_EQ(kernels.vector, vector_variants().front());
    EXPECT_EQ(kernels.matmul_float, matmul_float_variants().front());
    EXPECT_EQ(kernels.matmul_row, matmul_row_variants().front());
    EXPECT_EQ(kernels.matmul_block, matmul_block_variants().front());
    EXPECT_EQ(kernels.attention, attention_variants().front());
}

TEST(SelectKernels, this_machine_gets_what_it_has) {
    const IsaSet here = detect_isas();
    expect_all_within(select_kernels(here), here);
#ifdef GEMLET_X86_KERNELS
    Isa expected = Isa::scalar;
    if (here.has(Isa::avx2)) expected = Isa::avx2;
    if (here.has(Isa::avxvnni)) expected = Isa::avxvnni;
    if (here.has(Isa::avx512vnni)) expected = Isa::avx512vnni;
    if (here.has(Isa::amx)) expected = Isa::amx;
    EXPECT_EQ(select_kernels(here).matmul_row->isa, expected);
#endif
#ifdef GEMLET_ARM_KERNELS
    Isa expected = Isa::neon;
    if (here.has(Isa::dotprod)) expected = Isa::dotprod;
    if (here.has(Isa::i8mm)) expected = Isa::i8mm;
    EXPECT_EQ(select_kernels(here).matmul_row->isa, expected);
#endif
}

TEST(SelectKernels, isa_names_round_trip) {
    for (size_t i = 0; i < kIsas; ++i) {
        const auto isa = static_cast<Isa>(i);
        EXPECT_EQ(isa_from_name(isa_name(isa)), isa);
    }
    EXPECT_FALSE(isa_from_name("avx3").has_value());
    EXPECT_FALSE(isa_from_name("").has_value());
}

}  // namespace
}  // namespace gemlet
