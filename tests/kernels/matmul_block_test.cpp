// Block matmul: scalar against double precision with a bound from the norms, every other variant
// against scalar bit for bit.
#include "kernels/matmul_block/matmul_block.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "quant/formats/dequantize.h"
#include "quant/formats/unpack_codes.h"
#include "tests/kernels/support.h"

#ifdef GEMLET_EMULATED_KERNELS
namespace gemlet {
extern const MatmulBlockVariant matmul_block_avx512vnni_emulated;
extern const MatmulBlockVariant matmul_block_avxvnni_emulated;
extern const MatmulBlockVariant matmul_block_amx_emulated;
}  // namespace gemlet
#endif

namespace gemlet {
namespace {

using test::canary;
using test::float_bits;
using test::GuardedBuffer;
using test::is_canary;
using test::Random;
using Tested = test::TestedVariant<MatmulBlockVariant>;

const MatmulBlockVariant& scalar() { return *matmul_block_variants().back(); }

std::vector<Tested> all_variants() {
#ifdef GEMLET_EMULATED_KERNELS
    return test::tested_variants(matmul_block_variants(),
                                 {&matmul_block_avx512vnni_emulated, &matmul_block_avxvnni_emulated,
                                  &matmul_block_amx_emulated});
#else
    return test::tested_variants(matmul_block_variants(), {});
#endif
}

std::vector<WeightType> block_types() {
    std::vector<WeightType> types;
    for (size_t i = 0; i < kWeightTypes; ++i) {
        const WeightTypeInfo& info = weight_type_info(static_cast<WeightType>(i));
        if (info.is_block) types.push_back(info.type);
    }
    return types;
}

// Where a block keeps its half-precision numbers.
std::vector<size_t> half_offsets(WeightType type) {
    switch (type) {
        case WeightType::q4_1:
        case WeightType::q5_1:
        case WeightType::q4_k:
        case WeightType::q5_k:
            return {0, 2};
        case WeightType::q2_k:
            return {80, 82};
        case WeightType::q3_k:
            return {108};
        case WeightType::q6_k:
            return {208};
        case WeightType::tq1_0:
            return {52};
        case WeightType::tq2_0:
            return {64};
        case WeightType::mxfp4:
        case WeightType::nvfp4:
            return {};
        default:
            return {0};
    }
}

// Makes the scales of random or constant block bytes finite: mostly ordinary halves of both signs,
// now and then a subnormal one or zero.
void fix_scales(WeightType type, uint8_t* rows, size_t n_bytes, Random& random) {
    const WeightTypeInfo& info = weight_type_info(type);
    for (size_t at = 0; at < n_bytes; at += info.block_bytes) {
        if (type == WeightType::mxfp4) rows[at] = static_cast<uint8_t>(110 + random.below(20));
        for (const size_t offset : half_offsets(type)) {
            uint8_t* half = rows + at + offset;
            const size_t exponent = random.below(20) == 0 ? 0 : 6 + random.below(6);
            half[0] = random.byte();
            half[1] = static_cast<uint8_t>((random.byte() & 0x83U) | (exponent << 2));
        }
    }
}

struct Activations {
    Activations(size_t m, size_t k)
        : codes(m * k + 64), scale(m * k / kBlockGroup), sums(m * k / kBlockSum) {}
    BlockActivations view() { return {codes.data(), scale.data(), sums.data()}; }
    std::vector<int8_t> codes;
    std::vector<float> scale;
    std::vector<int16_t> sums;
};

struct Scratch {
    explicit Scratch(size_t k) : bytes(matmul_block_scratch_bytes(k) + 64 + kCanary) {
        const auto at = reinterpret_cast<uintptr_t>(bytes.data());
        start = bytes.data() + (64 - at % 64) % 64;
        end = start + matmul_block_scratch_bytes(k);
        std::fill(end, end + kCanary, uint8_t{0xA5});
    }
    bool intact() const {
        return std::all_of(end, end + kCanary, [](uint8_t b) { return b == 0xA5; });
    }
    static constexpr size_t kCanary = 64;
    std::vector<uint8_t> bytes;
    uint8_t* start;
    uint8_t* end;
};

struct Case {
    WeightType type;
    size_t m;
    size_t n;
    size_t k;
};

MatmulBlockArgs make_args(const Case& c, const uint8_t* weights, BlockActivations x, float* out,
                          size_t out_stride, uint8_t* scratch) {
    return {weights, row_bytes(c.type, c.k), c.type, x, out, out_stride, c.m, 0, c.n, c.k, scratch};
}

std::vector<float> run_scalar(const Case& c, const uint8_t* weights, BlockActivations x) {
    std::vector<float> out(c.m * c.n);
    const Scratch scratch(c.k);
    scalar().run(make_args(c, weights, x, out.data(), c.n, scratch.start));
    return out;
}

std::vector<uint8_t> random_weights(const Case& c, Random& random) {
    std::vector<uint8_t> weights(c.n * row_bytes(c.type, c.k));
    for (uint8_t& b : weights) b = random.byte();
    fix_scales(c.type, weights.data(), weights.size(), random);
    return weights;
}

Activations random_activations(size_t m, size_t k, Random& random) {
    std::vector<float> x(m * k);
    for (float& v : x) v = random.uniform(-2.0F, 2.0F);
    for (size_t i = 0; i < x.size(); i += 7 * kBlockGroup) {  // some groups of zeros
        std::fill_n(x.begin() + static_cast<ptrdiff_t>(i), kBlockGroup, 0.0F);
    }
    Activations packed(m, k);
    scalar().pack({x.data(), k, m, k, packed.view()});
    return packed;
}

std::vector<size_t> columns_to_test(WeightType type) {
    const size_t block = weight_type_info(type).block_weights;
    std::vector<size_t> ks = {256, 512, 1536, 6144};
    if (block == 32) ks.insert(ks.end(), {32, 64, 96, 160, 288, 480});
    if (block == 64) ks.insert(ks.end(), {64, 192, 320});
    if (block == 128) ks.insert(ks.end(), {128, 384});
    return ks;
}

// Compares an output with expected columns [n_begin, n_end) of `expected` [.., expected_stride];
// all else must be canaries.
void expect_equal(const GuardedBuffer<float>& out, size_t out_stride, const MatmulBlockArgs& args,
                  const std::vector<float>& expected, size_t expected_stride) {
    size_t wrong = 0;
    for (size_t r = 0; r < args.m; ++r) {
        for (size_t n = 0; n < out_stride; ++n) {
            const float got = out[r * out_stride + n];
            const bool inside = n >= args.n_begin && n < args.n_end;
            const bool right =
                inside ? float_bits(got) == float_bits(expected[r * expected_stride + n])
                       : is_canary(got);
            if (!right && ++wrong < 4) {
                ADD_FAILURE() << "m " << r << " n " << n << ": " << got << " instead of "
                              << (inside ? expected[r * expected_stride + n] : canary());
            }
        }
    }
    EXPECT_EQ(wrong, 0U) << "m=" << args.m << " n=" << args.n_begin << ".." << args.n_end
                         << " k=" << args.k;
}

// Runs `variant` on the first c.m and c.n rows of a larger problem, with weights that end at a
// guard page.
void check_part(const MatmulBlockVariant& variant, const Case& c, size_t n_begin,
                const std::vector<uint8_t>& weights, Activations& x,
                const std::vector<float>& expected, size_t expected_stride) {
    GuardedBuffer<uint8_t> guarded(c.n * row_bytes(c.type, c.k));
    memcpy(guarded.data(), weights.data(), guarded.size());
    const size_t stride = c.n + 3;
    GuardedBuffer<float> out(c.m * stride);
    std::fill_n(out.data(), out.size(), canary());
    const Scratch scratch(c.k);
    MatmulBlockArgs args =
        make_args(c, guarded.data(), x.view(), out.data(), stride, scratch.start);
    args.n_begin = n_begin;
    variant.run(args);
    expect_equal(out, stride, args, expected, expected_stride);
    EXPECT_TRUE(scratch.intact());
}

class MatmulBlock : public testing::TestWithParam<std::tuple<Tested, WeightType>> {};

TEST_P(MatmulBlock, equals_scalar_bit_for_bit) {
    const auto& [tested, type] = GetParam();
    GEMLET_SKIP_UNLESS_RUNS(tested);
    for (const size_t k : columns_to_test(type)) {
        SCOPED_TRACE(k);
        Random random(static_cast<uint32_t>(k));
        const Case all{type, k > 512 ? 17U : 33U, k > 512 ? 33U : 67U, k};
        const std::vector<uint8_t> weights = random_weights(all, random);
        Activations x = random_activations(all.m, k, random);
        const std::vector<float> expected = run_scalar(all, weights.data(), x.view());
        for (const size_t m : {1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 16, 17, 33}) {
            for (const size_t n : {1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 67}) {
                if (m > all.m || n > all.n || (k > 512 && (m + n) % 3 != 0)) continue;
                check_part(*tested.variant, {type, m, n, k}, 0, weights, x, expected, all.n);
                if (HasFailure()) return;
            }
        }
    }
}

TEST_P(MatmulBlock, does_not_depend_on_how_columns_are_split) {
    const auto& [tested, type] = GetParam();
    GEMLET_SKIP_UNLESS_RUNS(tested);
    const Case all{type, 13, 67, 256};
    Random random(3);
    const std::vector<uint8_t> weights = random_weights(all, random);
    Activations x = random_activations(all.m, all.k, random);
    const std::vector<float> expected = run_scalar(all, weights.data(), x.view());
    for (const size_t m : {1, 6, 13}) {
        for (const size_t split : {0, 1, 5, 16, 23, 48, 49, 66, 67}) {
            check_part(*tested.variant, {type, m, split, all.k}, 0, weights, x, expected, all.n);
            check_part(*tested.variant, {type, m, all.n, all.k}, split, weights, x, expected,
                       all.n);
        }
    }
}

// A chunk of prefill: every height of tile, and rows left over.
TEST_P(MatmulBlock, multiplies_many_rows) {
    const auto& [tested, type] = GetParam();
    GEMLET_SKIP_UNLESS_RUNS(tested);
    const Case all{type, 512, 33, 256};
    Random random(7);
    const std::vector<uint8_t> weights = random_weights(all, random);
    Activations x = random_activations(all.m, all.k, random);
    const std::vector<float> expected = run_scalar(all, weights.data(), x.view());
    for (const size_t m : {23, 47, 512}) {
        check_part(*tested.variant, {type, m, all.n, all.k}, 0, weights, x, expected, all.n);
    }
}

// Every code byte at the ends of its range against activations of largest size whose signs agree
// with the first row's codes, so that sums reach their extremes.
TEST_P(MatmulBlock, survives_extreme_codes) {
    const auto& [tested, type] = GetParam();
    GEMLET_SKIP_UNLESS_RUNS(tested);
    const Case c{type, 9, 17, 512};
    Random random(4);
    for (const int byte : {0x00, 0xff, 0x80, 0x7f, 0x0f, 0xf0, 0x81, 0x08}) {
        SCOPED_TRACE(byte);
        std::vector<uint8_t> weights(c.n * row_bytes(type, c.k), static_cast<uint8_t>(byte));
        fix_scales(type, weights.data(), weights.size(), random);
        std::vector<int8_t> codes(c.k);
        std::vector<float> scales(c.k / kCodeGroup);
        std::vector<float> mins(c.k / kCodeGroup);
        unpack_codes(type, weights.data(), c.k, codes.data(), scales.data(), mins.data());
        Activations x(c.m, c.k);
        for (size_t i = 0; i < c.m * c.k; ++i) {
            const bool agree = i / c.k < 3;
            const int sign = agree ? (codes[i % c.k] < 0 ? -1 : 1) : (i / c.k % 2 != 0 ? -1 : 1);
            x.codes[i] = static_cast<int8_t>(127 * sign);
            x.scale[i / kBlockGroup] = 0.01F;
            int16_t& sum = x.sums[i / kBlockSum];
            sum = static_cast<int16_t>(sum + x.codes[i]);
        }
        const std::vector<float> expected = run_scalar(c, weights.data(), x.view());
        check_part(*tested.variant, c, 0, weights, x, expected, c.n);
        check_part(*tested.variant, {type, 3, c.n, c.k}, 0, weights, x, expected, c.n);
    }
}

INSTANTIATE_TEST_SUITE_P(variants, MatmulBlock,
                         testing::Combine(testing::ValuesIn(all_variants()),
                                          testing::ValuesIn(block_types())),
                         [](const auto& tested_case) {
                             return std::get<0>(tested_case.param).name() + "_" +
                                    weight_type_info(std::get<1>(tested_case.param)).name;
                         });

class MatmulBlockScalar : public testing::TestWithParam<WeightType> {};

// Roundings on the way of a product to the result: at most five inside its group, one per group of
// its lane, eight when lanes are added; three in dequantize_row. Each is at most u = 2^-24 of the
// sum of magnitudes so far (Higham, gamma_n = n u / (1 - n u)).
TEST_P(MatmulBlockScalar, agrees_with_double_precision) {
    const WeightType type = GetParam();
    for (const size_t k : columns_to_test(type)) {
        Random random(static_cast<uint32_t>(k + 1));
        const Case c{type, 3, 5, k};
        const std::vector<uint8_t> weights = random_weights(c, random);
        Activations x = random_activations(c.m, k, random);
        const std::vector<float> out = run_scalar(c, weights.data(), x.view());
        std::vector<float> row(k);
        std::vector<int8_t> codes(k);
        std::vector<float> scales(k / kCodeGroup);
        std::vector<float> mins(k / kCodeGroup);
        const double nu = (16.0 + std::ceil(static_cast<double>(k) / 256)) * 0x1p-24;
        for (size_t n = 0; n < c.n; ++n) {
            const uint8_t* from = weights.data() + n * row_bytes(type, k);
            dequantize_row(type, from, k, row.data());
            unpack_codes(type, from, k, codes.data(), scales.data(), mins.data());
            for (size_t r = 0; r < c.m; ++r) {
                double sum = 0.0;
                double norm = 0.0;
                for (size_t i = 0; i < k; ++i) {
                    const double value = static_cast<double>(x.scale[(r * k + i) / kBlockGroup]) *
                                         x.codes[r * k + i];
                    const double size = std::abs(static_cast<double>(scales[i / 16]) * codes[i]) +
                                        std::abs(static_cast<double>(mins[i / 16]));
                    sum += value * static_cast<double>(row[i]);
                    norm += std::abs(value) * size;
                }
                EXPECT_NEAR(static_cast<double>(out[r * c.n + n]), sum, norm * nu / (1 - nu))
                    << "k " << k << " n " << n << " m " << r;
            }
        }
    }
}

INSTANTIATE_TEST_SUITE_P(types, MatmulBlockScalar, testing::ValuesIn(block_types()),
                         [](const auto& tested_case) {
                             return weight_type_info(tested_case.param).name;
                         });

class MatmulBlockPack : public testing::TestWithParam<Tested> {};

TEST_P(MatmulBlockPack, rounds_to_nearest_even) {
    GEMLET_SKIP_UNLESS_RUNS(GetParam());
    GuardedBuffer<float> x(kBlockGroup);
    for (size_t i = 0; i < kBlockGroup; ++i) x[i] = static_cast<float>(i) - 15.5F;
    x[0] = 127.0F;  // scale 1
    GuardedBuffer<int8_t> codes(kBlockGroup);
    GuardedBuffer<float> scale(1);
    GuardedBuffer<int16_t> sums(2);
    GetParam().variant->pack(
        {x.data(), kBlockGroup, 1, kBlockGroup, {codes.data(), scale.data(), sums.data()}});
    EXPECT_EQ(scale[0], 1.0F);
    EXPECT_EQ(codes[0], 127);
    EXPECT_EQ(codes[1], -14);  // -14.5
    EXPECT_EQ(codes[2], -14);  // -13.5
    EXPECT_EQ(codes[15], 0);   // -0.5
    EXPECT_EQ(codes[16], 0);   // 0.5
    EXPECT_EQ(codes[17], 2);   // 1.5
    int first = 0;
    int second = 0;
    for (size_t i = 0; i < kBlockSum; ++i) {
        first += codes[i];
        second += codes[i + kBlockSum];
    }
    EXPECT_EQ(sums[0], first);
    EXPECT_EQ(sums[1], second);
}

TEST_P(MatmulBlockPack, equals_scalar_bit_for_bit_on_any_floats) {
    GEMLET_SKIP_UNLESS_RUNS(GetParam());
    const float inf = INFINITY;
    const float special[] = {0.0F,  -0.0F,  1e-45F, -1e-45F, 2.66e-43F, 1e-38F,
                             3e38F, -3e38F, inf,    -inf,    NAN,       1.0F};
    Random random(5);
    const size_t m = 40;
    const size_t k = 96;
    GuardedBuffer<float> x(m * k);
    for (size_t i = 0; i < m * k; ++i) {
        const size_t row = i / k;
        x[i] = random.uniform(-3.0F, 3.0F) * std::exp2(random.uniform(-20.0F, 3.0F));
        if (row >= 10 && random.below(4) == 0) x[i] = special[random.below(12)];
        if (row >= 25 && row < 33) x[i] = special[random.below(row < 29 ? 5 : 6)];
    }
    Activations a(m, k);
    Activations b(m, k);
    scalar().pack({x.data(), k, m, k, a.view()});
    GetParam().variant->pack({x.data(), k, m, k, b.view()});
    EXPECT_EQ(a.codes, b.codes);
    EXPECT_EQ(a.sums, b.sums);
    for (size_t i = 0; i < a.scale.size(); ++i) {
        EXPECT_EQ(float_bits(a.scale[i]), float_bits(b.scale[i])) << i;
    }
}

// |x - scale * code| is at most half a step; scale and quotient are rounded once each.
TEST_P(MatmulBlockPack, is_within_half_a_step) {
    GEMLET_SKIP_UNLESS_RUNS(GetParam());
    Random random(6);
    const size_t k = 1536;
    std::vector<float> x(k);
    for (float& v : x) v = random.uniform(-5.0F, 5.0F);
    Activations a(1, k);
    GetParam().variant->pack({x.data(), k, 1, k, a.view()});
    for (size_t i = 0; i < k; ++i) {
        const double scale = static_cast<double>(a.scale[i / kBlockGroup]);
        EXPECT_LE(std::abs(static_cast<double>(x[i]) - scale * a.codes[i]),
                  scale * (0.5 + 127 * 0x1p-23));
    }
}

INSTANTIATE_TEST_SUITE_P(variants, MatmulBlockPack, testing::ValuesIn(all_variants()),
                         [](const auto& tested_case) { return tested_case.param.name(); });

}  // namespace
}  // namespace gemlet
