// Row operations: every variant gives the bits of the scalar one at every length, and the scalar
// one lies within derived bounds of a double-precision oracle.
#include "kernels/vector/vector.h"

#include <cmath>
#include <limits>

#include "kernels/vector/canonical.h"
#include "quant/formats/float16.h"
#include "tests/kernels/support.h"

#ifdef GEMLET_EMULATED_KERNELS
namespace gemlet {
extern const VectorVariant vector_avx512_emulated;
}
#endif

namespace gemlet {
namespace {

using test::float_bits;
using test::GuardedBuffer;
using test::Random;
using Tested = test::TestedVariant<VectorVariant>;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr double kEpsilon = 0x1p-24;  // relative error of one rounding

std::vector<Tested> all_variants() {
    std::vector<const VectorVariant*> emulated;
#ifdef GEMLET_EMULATED_KERNELS
    emulated.push_back(&vector_avx512_emulated);
#endif
    return test::tested_variants(vector_variants(), emulated);
}

std::vector<size_t> lengths() {
    std::vector<size_t> all;
    for (size_t n = 1; n <= 70; ++n) all.push_back(n);
    for (const size_t n : {97, 127, 251, 256, 509, 512, 1021, 1536, 2048, 2560, 6144, 8960}) {
        all.push_back(n);
    }
    return all;
}

// Mostly ordinary numbers, some zeros of both signs, subnormals and large ones.
float any_number(Random& random) {
    switch (random.below(24)) {
        case 0:
            return 0.0F;
        case 1:
            return -0.0F;
        case 2:
            return random.uniform(-1e-39F, 1e-39F);
        case 3:
            return random.uniform(-100.0F, 100.0F);
        case 4:
            return random.uniform(-1e-6F, 1e-6F);
        default:
            return random.uniform(-4.0F, 4.0F);
    }
}

const VectorVariant& scalar() { return *vector_variants().back(); }

class VectorVariants : public testing::TestWithParam<Tested> {
  protected:
    // Runs `operation` with the variant and with scalar on the same rows, which end at guard pages,
    // and compares the output rows bit for bit. Rows: a, b, c inputs, out preset with numbers.
    template <class Operation>
    void expect_same_bits(size_t n, uint32_t seed, Operation operation) {
        SCOPED_TRACE("n " + std::to_string(n) + ", seed " + std::to_string(seed));
        GuardedBuffer<float> a(n);
        GuardedBuffer<float> b(n);
        GuardedBuffer<float> out[2] = {GuardedBuffer<float>(n), GuardedBuffer<float>(n)};
        Random random(seed);
        for (size_t i = 0; i < n; ++i) {
            a[i] = any_number(random);
            b[i] = any_number(random);
            out[0][i] = out[1][i] = any_number(random);
        }
        const VectorVariant* variants[2] = {&scalar(), GetParam().variant};
        float results[2];
        for (size_t run = 0; run < 2; ++run) {
            results[run] = operation(*variants[run], a.data(), b.data(), out[run].data(), n);
        }
        EXPECT_EQ(float_bits(results[0]), float_bits(results[1]));
        for (size_t i = 0; i < n; ++i) {
            ASSERT_EQ(float_bits(out[0][i]), float_bits(out[1][i]))
                << "element " << i << ": " << out[0][i] << " and " << out[1][i];
        }
    }

    template <class Operation>
    void expect_same_bits_at_all_lengths(Operation operation) {
        GEMLET_SKIP_UNLESS_RUNS(GetParam());
        uint32_t seed = 1;
        for (const size_t n : lengths()) expect_same_bits(n, seed++, operation);
    }
};

INSTANTIATE_TEST_SUITE_P(vector, VectorVariants, testing::ValuesIn(all_variants()),
                         [](const auto& tested) { return tested.param.name(); });

TEST_P(VectorVariants, rms_norm_gives_the_bits_of_scalar) {
    expect_same_bits_at_all_lengths(
        [](const VectorVariant& v, const float* a, const float* b, float* out, size_t n) {
            v.rms_norm(a, b, out, n, 1e-6F);
            return 0.0F;
        });
    expect_same_bits_at_all_lengths(
        [](const VectorVariant& v, const float* a, const float* b, float* out, size_t n) {
            v.rms_norm(out, n % 2 == 0 ? nullptr : b, out, n, 1e-6F);
            return a[0];
        });
}

TEST_P(VectorVariants, gelu_mul_gives_the_bits_of_scalar) {
    expect_same_bits_at_all_lengths(
        [](const VectorVariant& v, const float* a, const float* b, float* out, size_t n) {
            v.gelu_mul(a, n % 2 == 0 ? b : out, out, n);
            return 0.0F;
        });
}

TEST_P(VectorVariants, sigmoid_mul_gives_the_bits_of_scalar) {
    expect_same_bits_at_all_lengths(
        [](const VectorVariant& v, const float* a, const float* b, float* out, size_t n) {
            v.sigmoid_mul(n % 3 == 0 ? out : a, n % 2 == 0 ? b : out, out, n);
            return 0.0F;
        });
}

TEST_P(VectorVariants, soft_cap_gives_the_bits_of_scalar) {
    expect_same_bits_at_all_lengths(
        [](const VectorVariant& v, const float* a, const float*, float* out, size_t n) {
            v.soft_cap(a, out, n, n % 2 == 0 ? 30.0F : 1.0F);
            return 0.0F;
        });
}

TEST_P(VectorVariants, sums_and_scales_give_the_bits_of_scalar) {
    expect_same_bits_at_all_lengths(
        [](const VectorVariant& v, const float* a, const float* b, float* out, size_t n) {
            v.axpy(a, out, n, 0.37F);
            v.add_scale(out, b, out, n, 1.7F);
            v.scale(out, out, n, -0.3F);
            return 0.0F;
        });
}

TEST_P(VectorVariants, rope_gives_the_bits_of_scalar) {
    expect_same_bits_at_all_lengths(
        [](const VectorVariant& v, const float* a, const float* b, float* out, size_t n) {
            if (n > 1) v.rope(out, a + n - n / 2, b + n - n / 2, n / 2);
            return 0.0F;
        });
}

TEST_P(VectorVariants, max_abs_and_softmax_give_the_bits_of_scalar) {
    expect_same_bits_at_all_lengths([](const VectorVariant& v, const float* a, const float*, float*,
                                       size_t n) { return v.max_abs(a, n); });
    expect_same_bits_at_all_lengths(
        [](const VectorVariant& v, const float*, const float*, float* out, size_t n) {
            if (n > 2) out[n / 2] = -kInf;
            return v.softmax_exp(out, n);
        });
}

TEST_P(VectorVariants, conversions_give_the_bits_of_scalar) {
    GEMLET_SKIP_UNLESS_RUNS(GetParam());
    Random random(7);
    for (const size_t n : lengths()) {
        SCOPED_TRACE("n " + std::to_string(n) + ", seed 7");
        GuardedBuffer<float> x(n);
        for (size_t i = 0; i < n; ++i) x[i] = any_number(random) * (i % 3 == 0 ? 4e4F : 1.0F);
        const float special[4] = {kInf, -kInf, std::numeric_limits<float>::quiet_NaN(), 65520.0F};
        if (n > 3) x[n / 3] = special[n % 4];
        GuardedBuffer<uint16_t> halves[2] = {GuardedBuffer<uint16_t>(n),
                                             GuardedBuffer<uint16_t>(n)};
        GuardedBuffer<int8_t> codes[2] = {GuardedBuffer<int8_t>(n), GuardedBuffer<int8_t>(n)};
        const VectorVariant* variants[2] = {&scalar(), GetParam().variant};
        for (size_t run = 0; run < 2; ++run) {
            variants[run]->to_f16(x.data(), halves[run].data(), n);
            variants[run]->to_i8(x.data(), codes[run].data(), n, 0.03F);
        }
        GuardedBuffer<float> floats(n);
        GetParam().variant->from_i8(codes[0].data(), floats.data(), n, 0.03F);
        for (size_t i = 0; i < n; ++i) {
            ASSERT_EQ(halves[0][i], halves[1][i]) << x[i];
            ASSERT_EQ(codes[0][i], codes[1][i]) << x[i];
            ASSERT_EQ(floats[i], static_cast<float>(codes[0][i]) * 0.03F);
        }
    }
}

TEST_P(VectorVariants, to_f16_rounds_every_half_and_its_neighbours) {
    GEMLET_SKIP_UNLESS_RUNS(GetParam());
    // Around every finite half and every point halfway to the next: the float below, it, above.
    std::vector<float> x;
    for (uint32_t half = 0; half < 0x7C00; ++half) {
        const float low = f16_to_f32(static_cast<uint16_t>(half));
        const float high = half == 0x7BFF ? 65536.0F : f16_to_f32(static_cast<uint16_t>(half + 1));
        for (const float middle : {low, 0.5F * (low + high)}) {
            for (const float v :
                 {std::nextafter(middle, -1.0F), middle, std::nextafter(middle, kInf)}) {
                x.push_back(v);
                x.push_back(-v);
            }
        }
    }
    std::vector<uint16_t> got(x.size());
    GetParam().variant->to_f16(x.data(), got.data(), x.size());
    for (size_t i = 0; i < x.size(); ++i) ASSERT_EQ(got[i], f32_to_f16(x[i])) << x[i];
}

TEST_P(VectorVariants, exp_and_tanh_give_the_bits_of_the_canonical_functions) {
    GEMLET_SKIP_UNLESS_RUNS(GetParam());
    std::vector<float> x;
    for (uint64_t bits = 0; bits < 0x100000000U; bits += 39119) {
        const auto low = static_cast<uint32_t>(bits);
        float v = 0.0F;
        memcpy(&v, &low, sizeof(v));
        if (!std::isnan(v)) x.push_back(v);
    }
    for (const float v : {0.0F, -0.0F, kInf, -kInf, -87.3F, std::nextafter(-87.3F, -kInf), 1.0F}) {
        x.push_back(v);
    }
    std::vector<float> got(x.size());
    GetParam().variant->soft_cap(x.data(), got.data(), x.size(), 1.0F);
    for (size_t i = 0; i < x.size(); ++i) {
        ASSERT_EQ(float_bits(got[i]), float_bits(canonical_tanh(x[i]))) << x[i];
    }
    // The largest of the row is 0, so that each element is its own argument.
    for (float& v : x) v = v > 0.0F ? -v : v;
    got = x;
    GetParam().variant->softmax_exp(got.data(), got.size());
    for (size_t i = 0; i < x.size(); ++i) {
        ASSERT_EQ(float_bits(got[i]), float_bits(canonical_exp(x[i]))) << x[i];
    }
}

TEST_P(VectorVariants, nan_in_a_row_reaches_only_what_depends_on_it) {
    GEMLET_SKIP_UNLESS_RUNS(GetParam());
    const VectorVariant& v = *GetParam().variant;
    std::vector<float> x(37, 0.5F);
    x[20] = std::numeric_limits<float>::quiet_NaN();
    std::vector<float> out(37);
    v.soft_cap(x.data(), out.data(), 37, 30.0F);
    for (size_t i = 0; i < 37; ++i) EXPECT_EQ(std::isnan(out[i]), i == 20) << i;
    v.gelu_mul(x.data(), x.data(), out.data(), 37);
    for (size_t i = 0; i < 37; ++i) EXPECT_EQ(std::isnan(out[i]), i == 20) << i;
    v.sigmoid_mul(x.data(), x.data(), out.data(), 37);
    for (size_t i = 0; i < 37; ++i) EXPECT_EQ(std::isnan(out[i]), i == 20) << i;
    EXPECT_EQ(v.max_abs(x.data(), 37), 0.5F);
    std::vector<int8_t> codes(37);
    v.to_i8(x.data(), codes.data(), 37, 0.1F);
    EXPECT_EQ(codes[20], -128);
    EXPECT_EQ(codes[21], 5);
}

double ulps(float got, double want) {
    const float near = std::fabs(static_cast<float>(want));
    const double ulp = static_cast<double>(std::nextafter(near, kInf)) - static_cast<double>(near);
    return std::fabs(static_cast<double>(got) - want) / ulp;
}

TEST(Canonical, exp_is_within_one_ulp_and_flushes_to_zero) {
    for (uint64_t bits = 0; bits < 0x100000000U; bits += 9973) {
        const auto low = static_cast<uint32_t>(bits);
        float x = 0.0F;
        memcpy(&x, &low, sizeof(x));
        if (std::isnan(x)) continue;
        const float got = canonical_exp(x);
        if (x < -87.3F) {
            ASSERT_EQ(float_bits(got), 0U) << x;
        } else if (x <= 88.0F) {
            ASSERT_LE(ulps(got, std::exp(static_cast<double>(x))), 1.0) << x;
            ASSERT_GE(got, std::numeric_limits<float>::min()) << x;
        } else {
            ASSERT_EQ(got, canonical_exp(88.0F)) << x;
        }
    }
    EXPECT_EQ(canonical_exp(0.0F), 1.0F);
    EXPECT_EQ(canonical_exp(-0.0F), 1.0F);
    EXPECT_EQ(float_bits(canonical_exp(-kInf)), 0U);
    EXPECT_TRUE(std::isnan(canonical_exp(std::numeric_limits<float>::quiet_NaN())));
}

TEST(Canonical, tanh_is_odd_bounded_and_within_three_ulp) {
    for (uint64_t bits = 0; bits < 0x80000000U; bits += 4999) {
        const auto low = static_cast<uint32_t>(bits);
        float x = 0.0F;
        memcpy(&x, &low, sizeof(x));
        if (std::isnan(x)) continue;
        const float got = canonical_tanh(x);
        ASSERT_LE(ulps(got, std::tanh(static_cast<double>(x))), 3.0) << x;
        ASSERT_LE(got, 1.0F) << x;
        ASSERT_EQ(float_bits(canonical_tanh(-x)), float_bits(-got)) << x;
    }
    EXPECT_EQ(canonical_tanh(kInf), 1.0F);
    EXPECT_EQ(float_bits(canonical_tanh(-0.0F)), float_bits(-0.0F));
}

TEST(Canonical, tree_adds_in_its_order) {
    // Only this order gives 4: the large ones cancel in the first step of the tree.
    float lanes[kLanes] = {};
    lanes[0] = 1e30F;
    lanes[8] = -1e30F;
    lanes[1] = lanes[2] = lanes[3] = lanes[4] = 1.0F;
    EXPECT_EQ(canonical_tree(lanes), 4.0F);
}

TEST(VectorScalar, rms_norm_matches_the_oracle) {
    for (const size_t n : {size_t{1}, size_t{7}, size_t{256}, size_t{1536}}) {
        SCOPED_TRACE("seed 3");
        Random random(3);
        std::vector<float> x(n);
        std::vector<float> weight(n);
        std::vector<float> out(n);
        double squares = 0.0;
        for (size_t i = 0; i < n; ++i) {
            x[i] = random.uniform(-3.0F, 3.0F);
            weight[i] = random.uniform(-2.0F, 2.0F);
            squares += static_cast<double>(x[i]) * static_cast<double>(x[i]);
        }
        scalar().rms_norm(x.data(), weight.data(), out.data(), n, 1e-6F);
        const double r = 1.0 / std::sqrt(squares / static_cast<double>(n) + 1e-6);
        // The sum has n / 16 + 4 roundings, its root halves them; six roundings follow.
        const double bound = kEpsilon * (static_cast<double>(n) / 32 + 2 + 6);
        for (size_t i = 0; i < n; ++i) {
            const double want = static_cast<double>(x[i]) * r * static_cast<double>(weight[i]);
            EXPECT_NEAR(out[i], want, bound * std::fabs(want)) << i;
        }
    }
}

TEST(VectorScalar, gelu_keeps_small_arguments_relatively_exact) {
    for (float g = -1.0F; g <= 1.0F; g += 0.000997F) {
        const float one = 1.0F;
        float got = 0.0F;
        scalar().gelu_mul(&g, &one, &got, 1);
        const double x = g;
        const double root = std::sqrt(2.0 / 3.14159265358979323846);
        const double want = 0.5 * x * (1.0 + std::tanh(root * (x + 0.044715 * x * x * x)));
        EXPECT_NEAR(got, want, 1e-6 * std::fabs(want)) << g;
    }
}

TEST(VectorScalar, sigmoid_mul_matches_the_oracle_and_its_limits) {
    for (float gate = -80.0F; gate <= 80.0F; gate += 0.0997F) {
        const float x = 3.0F;
        float got = 0.0F;
        scalar().sigmoid_mul(&x, &gate, &got, 1);
        const double want = 3.0 / (1.0 + std::exp(-static_cast<double>(gate)));
        // One ulp of exp is two roundings at most; the sum and the quotient are one each.
        EXPECT_NEAR(got, want, 4 * kEpsilon * want) << gate;
    }
    const float x[4] = {-1000.0F, 1000.0F, -kInf, kInf};
    float out[1];
    scalar().sigmoid_mul(x + 1, x, out, 1);
    EXPECT_NEAR(out[0], 0.0, 1e-30);
    scalar().sigmoid_mul(x, x + 1, out, 1);
    EXPECT_EQ(out[0], -1000.0F);
    scalar().sigmoid_mul(x + 1, x + 3, out, 1);
    EXPECT_EQ(out[0], 1000.0F);
}

TEST(VectorScalar, gelu_follows_its_limits) {
    const float gate[4] = {1e20F, -1e20F, 40.0F, -40.0F};
    const float up[4] = {1.0F, 1.0F, 2.0F, 2.0F};
    float out[4];
    scalar().gelu_mul(gate, up, out, 4);
    EXPECT_EQ(out[0], 1e20F);
    EXPECT_EQ(out[1], 0.0F);
    EXPECT_EQ(out[2], 80.0F);
    EXPECT_EQ(out[3], 0.0F);
}

TEST(VectorScalar, softmax_exp_gives_probabilities) {
    std::vector<float> x = {1.0F, 3.0F, -kInf, 2.5F, -200.0F};
    const std::vector<float> before = x;
    const float sum = scalar().softmax_exp(x.data(), x.size());
    double want_sum = 0.0;
    for (size_t i = 0; i < x.size(); ++i) {
        const double want = std::exp(static_cast<double>(before[i]) - 3.0);
        want_sum += want;
        EXPECT_NEAR(x[i], want, 2 * kEpsilon * want + 1e-38);
    }
    EXPECT_EQ(x[2], 0.0F);
    EXPECT_EQ(x[4], 0.0F);
    EXPECT_NEAR(sum, want_sum, 4 * kEpsilon * want_sum);
}

TEST(VectorScalar, rope_rotates_pairs) {
    float x[4] = {1.0F, 2.0F, 3.0F, 4.0F};
    const float cosine[2] = {0.0F, 1.0F};
    const float sine[2] = {1.0F, 0.0F};
    scalar().rope(x, cosine, sine, 2);
    EXPECT_EQ(x[0], -3.0F);
    EXPECT_EQ(x[1], 2.0F);
    EXPECT_EQ(x[2], 1.0F);
    EXPECT_EQ(x[3], 4.0F);
}

TEST(VectorScalar, to_i8_rounds_ties_to_even_and_saturates) {
    const float x[8] = {0.5F, 1.5F, -2.5F, 126.5F, 127.5F, -1e30F, kInf, -128.5F};
    int8_t out[8];
    scalar().to_i8(x, out, 8, 1.0F);
    const int8_t want[8] = {0, 2, -2, 126, 127, -128, 127, -128};
    for (size_t i = 0; i < 8; ++i) EXPECT_EQ(out[i], want[i]) << i;
}

}  // namespace
}  // namespace gemlet
