// Float matrix products: every variant gives the bits of the scalar one for every type and shape,
// however rows and columns are split; the scalar one lies within a derived bound of an oracle.
#include "kernels/matmul_float/matmul_float.h"

#include <cmath>

#include "quant/formats/dequantize.h"
#include "quant/formats/float16.h"
#include "tests/kernels/support.h"

#ifdef GEMLET_EMULATED_KERNELS
namespace gemlet {
extern const MatmulFloatVariant matmul_float_avx512_emulated;
}
#endif

namespace gemlet {
namespace {

using test::float_bits;
using test::GuardedBuffer;
using test::Random;
using Tested = test::TestedVariant<MatmulFloatVariant>;

constexpr size_t kRowGap = 3;  // canaries behind each output row

std::vector<Tested> all_variants() {
    std::vector<const MatmulFloatVariant*> emulated;
#ifdef GEMLET_EMULATED_KERNELS
    emulated.push_back(&matmul_float_avx512_emulated);
#endif
    return test::tested_variants(matmul_float_variants(), emulated);
}

const MatmulFloatVariant& scalar() { return *matmul_float_variants().back(); }

// A problem whose weights and inputs end at guard pages. Values of a block type are any bytes with
// small half-precision scales, as far as the type has one at a fixed place.
struct Problem {
    Problem(WeightType weight_type, size_t m_rows, size_t n_rows, size_t n_cols, uint32_t seed)
        : type(weight_type),
          m(m_rows),
          n(n_rows),
          k(n_cols),
          weights(n * row_bytes(type, k)),
          x(m * k),
          scratch(k + 64) {
        Random random(seed);
        for (size_t i = 0; i < m * k; ++i) x[i] = random.uniform(-2.0F, 2.0F);
        if (type == WeightType::q8_0) {
            for (size_t i = 0; i < weights.size(); ++i) weights[i] = random.byte();
            for (size_t i = 0; i < weights.size(); i += 34) put(i, 0x2000 | random.byte());
            return;
        }
        for (size_t i = 0; i < n * k; ++i) {
            const float w = random.uniform(-1.0F, 1.0F);
            if (type == WeightType::f32) memcpy(weights.data() + 4 * i, &w, 4);
            if (type == WeightType::f16) put(2 * i, f32_to_f16(w));
            if (type == WeightType::bf16) put(2 * i, f32_to_bf16(w));
        }
    }
    void put(size_t at, int bits) {
        const auto half = static_cast<uint16_t>(bits);
        memcpy(weights.data() + at, &half, 2);
    }
    MatmulFloatArgs args(float* out) {
        return {.weights = weights.data(),
                .weight_stride_bytes = row_bytes(type, k),
                .type = type,
                .x = x.data(),
                .x_stride = k,
                .out = out,
                .out_stride = n + kRowGap,
                .m = m,
                .n_begin = 0,
                .n_end = n,
                .k = k,
                .scratch = scratch.data()};
    }
    // Canaries everywhere at first, so that whatever is not written stays one.
    std::vector<float> fresh_out() const {
        return std::vector<float>(m * (n + kRowGap), test::canary());
    }

    WeightType type;
    size_t m;
    size_t n;
    size_t k;
    GuardedBuffer<uint8_t> weights;
    GuardedBuffer<float> x;
    GuardedBuffer<float> scratch;
};

void expect_equal_rows(const std::vector<float>& got, const std::vector<float>& want) {
    ASSERT_EQ(got.size(), want.size());
    for (size_t i = 0; i < got.size(); ++i) {
        ASSERT_EQ(float_bits(got[i]), float_bits(want[i])) << "output " << i;
    }
}

class MatmulFloatVariants : public testing::TestWithParam<Tested> {
  protected:
    void expect_same_bits(WeightType type, size_t m, size_t n, size_t k) {
        const auto seed = static_cast<uint32_t>(m * 10007 + n * 101 + k);
        SCOPED_TRACE(std::string(weight_type_info(type).name) + " m " + std::to_string(m) + " n " +
                     std::to_string(n) + " k " + std::to_string(k) + " seed " +
                     std::to_string(seed));
        Problem problem(type, m, n, k, seed);
        std::vector<float> want = problem.fresh_out();
        std::vector<float> got = problem.fresh_out();
        scalar().run(problem.args(want.data()));
        GetParam().variant->run(problem.args(got.data()));
        expect_equal_rows(got, want);
    }
};

INSTANTIATE_TEST_SUITE_P(matmul_float, MatmulFloatVariants, testing::ValuesIn(all_variants()),
                         [](const auto& tested) { return tested.param.name(); });

TEST_P(MatmulFloatVariants, give_the_bits_of_scalar_at_every_length) {
    GEMLET_SKIP_UNLESS_RUNS(GetParam());
    for (const WeightType type : {WeightType::f32, WeightType::f16, WeightType::bf16}) {
        for (size_t k = 1; k <= 70; ++k) {
            expect_same_bits(type, 1, 5, k);
            expect_same_bits(type, 4, 5, k);
        }
    }
}

TEST_P(MatmulFloatVariants, give_the_bits_of_scalar_at_every_tile_edge) {
    GEMLET_SKIP_UNLESS_RUNS(GetParam());
    for (const WeightType type : {WeightType::f32, WeightType::f16, WeightType::bf16}) {
        for (size_t m = 1; m <= 9; ++m) {
            for (size_t n = 1; n <= 9; ++n) expect_same_bits(type, m, n, 37);
        }
    }
    for (size_t m = 1; m <= 9; ++m) expect_same_bits(WeightType::q8_0, m, 3, 96);
}

TEST_P(MatmulFloatVariants, give_the_bits_of_scalar_at_real_shapes) {
    GEMLET_SKIP_UNLESS_RUNS(GetParam());
    for (const size_t k : {256, 512, 1536, 2560, 8960, 6144}) {
        expect_same_bits(WeightType::bf16, 1, 6, k);
        expect_same_bits(WeightType::f16, 5, 6, k);
        expect_same_bits(WeightType::f32, 2, 6, k);
        expect_same_bits(WeightType::q8_0, 3, 4, k);
    }
    // More rows than one block of inputs holds.
    expect_same_bits(WeightType::bf16, 50, 3, 6144);
}

TEST_P(MatmulFloatVariants, write_only_their_columns_and_split_anywhere) {
    GEMLET_SKIP_UNLESS_RUNS(GetParam());
    SCOPED_TRACE("seed 5");
    Problem problem(WeightType::bf16, 5, 13, 50, 5);
    std::vector<float> whole = problem.fresh_out();
    GetParam().variant->run(problem.args(whole.data()));
    for (size_t cut = 0; cut <= 13; ++cut) {
        std::vector<float> halves = problem.fresh_out();
        MatmulFloatArgs args = problem.args(halves.data());
        args.n_begin = cut;
        GetParam().variant->run(args);
        for (size_t i = 0; i < halves.size(); ++i) {
            const size_t column = i % (problem.n + kRowGap);
            if (column < cut || column >= problem.n) {
                ASSERT_TRUE(test::is_canary(halves[i])) << i;
            }
        }
        args.n_begin = 0;
        args.n_end = cut;
        GetParam().variant->run(args);
        expect_equal_rows(halves, whole);
    }
}

TEST_P(MatmulFloatVariants, give_each_row_the_same_bits_alone) {
    GEMLET_SKIP_UNLESS_RUNS(GetParam());
    SCOPED_TRACE("seed 6");
    for (const WeightType type : {WeightType::f32, WeightType::bf16, WeightType::q8_0}) {
        Problem problem(type, 11, 7, 160, 6);
        std::vector<float> whole = problem.fresh_out();
        GetParam().variant->run(problem.args(whole.data()));
        std::vector<float> rows = problem.fresh_out();
        for (size_t row = 0; row < problem.m; ++row) {
            MatmulFloatArgs args = problem.args(rows.data() + row * (problem.n + kRowGap));
            args.x += row * args.x_stride;
            args.m = 1;
            GetParam().variant->run(args);
        }
        expect_equal_rows(rows, whole);
    }
}

TEST_P(MatmulFloatVariants, take_weights_at_odd_addresses) {
    GEMLET_SKIP_UNLESS_RUNS(GetParam());
    Problem problem(WeightType::bf16, 3, 4, 48, 8);
    std::vector<uint8_t> moved(problem.weights.size() + 1);
    memcpy(moved.data() + 1, problem.weights.data(), problem.weights.size());
    std::vector<float> want = problem.fresh_out();
    std::vector<float> got = problem.fresh_out();
    GetParam().variant->run(problem.args(want.data()));
    MatmulFloatArgs args = problem.args(got.data());
    args.weights = moved.data() + 1;
    GetParam().variant->run(args);
    expect_equal_rows(got, want);
}

/// The product from packed inputs, its columns in the calls cut at `cuts`, canaries elsewhere.
std::vector<float> run_packed(const MatmulFloatVariant& variant, Problem& problem, float low,
                              float high, std::span<const size_t> cuts) {
    const size_t n_tiles = (problem.m + variant.tile_rows - 1) / variant.tile_rows;
    GuardedBuffer<float> packed(n_tiles * packed_tile_floats(variant, problem.k));
    GuardedBuffer<float> scratch(packed_scratch_floats(variant, problem.k));
    variant.pack({problem.x.data(), problem.k, problem.m, problem.k, low, high, packed.data()});
    std::vector<float> out = problem.fresh_out();
    for (size_t i = 0; i + 1 < cuts.size(); ++i) {
        variant.run_packed({problem.weights.data(), row_bytes(problem.type, problem.k),
                            problem.type, packed.data(), out.data(), problem.n + kRowGap, problem.m,
                            cuts[i], cuts[i + 1], problem.k, low, high, scratch.data()});
    }
    return out;
}

TEST_P(MatmulFloatVariants, give_the_same_bits_from_packed_inputs) {
    GEMLET_SKIP_UNLESS_RUNS(GetParam());
    const size_t shapes[][3] = {{1, 1, 1},     {1, 33, 15},   {5, 16, 16},  {6, 17, 17},
                                {7, 31, 33},   {12, 32, 48},  {13, 33, 70}, {25, 100, 768},
                                {40, 9, 4304}, {200, 20, 96}, {7, 40, 3072}};
    for (const WeightType type :
         {WeightType::f32, WeightType::f16, WeightType::bf16, WeightType::q8_0}) {
        for (const auto& [m, n, k] : shapes) {
            if (type == WeightType::q8_0 && k % 32 != 0) continue;
            SCOPED_TRACE(std::string(weight_type_info(type).name) + " m " + std::to_string(m) +
                         " n " + std::to_string(n) + " k " + std::to_string(k) + " seed 3");
            Problem problem(type, m, n, k, 3);
            std::vector<float> want = problem.fresh_out();
            scalar().run(problem.args(want.data()));
            const size_t cuts[] = {0, n / 3, n};
            expect_equal_rows(run_packed(*GetParam().variant, problem, -INFINITY, INFINITY, cuts),
                              want);
        }
    }
}

TEST_P(MatmulFloatVariants, clamp_packed_inputs_and_results) {
    GEMLET_SKIP_UNLESS_RUNS(GetParam());
    Problem problem(WeightType::bf16, 9, 19, 40, 4);
    const size_t cuts[] = {0, problem.n};
    const auto got = run_packed(*GetParam().variant, problem, -0.75F, 1.25F, cuts);
    for (float& x : problem.x.span()) x = std::fmin(std::fmax(x, -0.75F), 1.25F);
    std::vector<float> want = problem.fresh_out();
    scalar().run(problem.args(want.data()));
    for (size_t i = 0; i < want.size(); ++i) {
        if (!test::is_canary(want[i])) want[i] = std::fmin(std::fmax(want[i], -0.75F), 1.25F);
    }
    expect_equal_rows(got, want);
}

TEST(MatmulFloatScalar, lies_within_the_bound_of_its_roundings) {
    for (const WeightType type :
         {WeightType::f32, WeightType::f16, WeightType::bf16, WeightType::q8_0}) {
        for (const size_t k : {32, 96, 1536}) {
            SCOPED_TRACE(std::string(weight_type_info(type).name) + ", seed 9");
            Problem problem(type, 3, 4, k, 9);
            std::vector<float> out = problem.fresh_out();
            scalar().run(problem.args(out.data()));
            std::vector<float> w(k);
            for (size_t n = 0; n < problem.n; ++n) {
                dequantize_row(type, problem.weights.data() + n * row_bytes(type, k), k, w.data());
                for (size_t m = 0; m < problem.m; ++m) {
                    double want = 0.0;
                    double norm = 0.0;
                    for (size_t i = 0; i < k; ++i) {
                        const double product =
                            static_cast<double>(problem.x[m * k + i]) * static_cast<double>(w[i]);
                        want += product;
                        norm += std::fabs(product);
                    }
                    // k / 16 fused steps in a lane and four levels of the tree.
                    const double roundings = static_cast<double>(k) / 16 + 4;
                    EXPECT_NEAR(out[m * (problem.n + kRowGap) + n], want,
                                roundings * 0x1p-24 * norm * 1.001);
                }
            }
        }
    }
}

}  // namespace
}  // namespace gemlet
