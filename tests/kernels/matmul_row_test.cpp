// Every variant of matmul_row against the scalar one, bit for bit; the scalar one against sums in
// 64 bits and products in double.
#include <gtest/gtest.h>

#include <cfenv>
#include <cmath>
#include <limits>
#include <string>
#include <tuple>

#include "tests/kernels/matmul_row_case.h"

namespace gemlet::test {
namespace {

const MatmulRowVariant& scalar() { return *matmul_row_variants().back(); }

const char* type_name(WeightType type) { return weight_type_info(type).name; }

// ---- The oracle ----

int64_t oracle_code(const RowCase& c, size_t n, size_t column) {
    const uint8_t* row = c.weights.data() + n * packed_bytes(c.shape.type, c.shape.k);
    if (c.shape.type == WeightType::i2r) return ((row[column / 4] >> (2 * (column % 4))) & 3) - 2;
    if (c.shape.type == WeightType::i4r) return ((row[column / 2] >> (4 * (column % 2))) & 15) - 8;
    return row[column] < 128 ? row[column] : row[column] - 256;
}

int64_t oracle_input(const RowCase& c, float v) {
    const double nearest = std::nearbyint(static_cast<double>(v / c.input_scale));
    return static_cast<int64_t>(std::fmin(std::fmax(nearest, -128.0), 127.0));
}

void expect_output_code(const RowCase& c, double exact, float got) {
    const double v = exact / static_cast<double>(c.output_scale);
    const double code = static_cast<double>(got) / static_cast<double>(c.output_scale);
    const double expected = std::fmin(std::fmax(std::nearbyint(v), -128.0), 127.0);
    // Three float roundings (scale, product, quotient) may carry a value across a tie.
    const double slack = std::fmax(std::fabs(v), 2.0) * 3 * 0x1p-24;
    const bool tie = std::fabs(v - std::floor(v) - 0.5) <= slack;
    EXPECT_LE(std::fabs(code - expected), tie ? 1.0001 : 0.0001) << "before rounding: " << v;
}

void check_against_oracle(const RowCase& c, const Output& out) {
    for (size_t row = 0; row < c.shape.m; ++row) {
        for (size_t n = 0; n < c.shape.n; ++n) {
            double exact = 0.0;
            double norm = 0.0;
            double largest = 0.0;
            for (size_t i = 0; i < c.shape.k; ++i) {
                const float v = c.x[row * c.shape.k + i];
                const auto code = static_cast<double>(oracle_code(c, n, i));
                const double x = c.input_scale > 0.0F ? static_cast<double>(oracle_input(c, v)) *
                                                            static_cast<double>(c.input_scale)
                                                      : static_cast<double>(v);
                exact += code * x;
                norm += std::fabs(code);
                largest = std::fmax(largest, std::fabs(x));
            }
            const auto scale = static_cast<double>(c.get_weight_scale(n));
            exact *= scale;
            if (c.output_scale > 0.0F) {
                expect_output_code(c, exact, out.at(row, n));
                continue;
            }
            // Roundings: sum to float, product of scales, product. Fixed point adds, per input,
            // half a step of largest / kFixedPointMax and the step's own rounding.
            double bound = std::fabs(exact) * 3.01 * 0x1p-24;
            if (c.input_scale == 0.0F) {
                bound += norm * scale * largest * (0.51 / kFixedPointMax + 2 * 0x1p-24);
            }
            EXPECT_LE(std::fabs(static_cast<double>(out.at(row, n)) - exact), bound)
                << "row " << row << " column " << n;
        }
    }
}

// ---- Comparison of a variant with scalar ----

void expect_same_packing(const PackedRows& expected, const PackedRows& got) {
    ASSERT_EQ(memcmp(expected.codes.data(), got.codes.data(), expected.codes.size()), 0);
    for (size_t i = 0; i < expected.sums.size(); ++i) ASSERT_EQ(expected.sums[i], got.sums[i]);
    for (size_t i = 0; i < expected.scale.size(); ++i) {
        ASSERT_EQ(float_bits(expected.scale[i]), float_bits(got.scale[i]));
    }
}

void expect_same_bits(const Output& expected, const Output& got) {
    for (size_t i = 0; i < expected.values.size(); ++i) {
        ASSERT_EQ(float_bits(expected.values[i]), float_bits(got.values[i]))
            << "row " << i / expected.stride() << " column " << i % expected.stride() << ": "
            << expected.values[i] << " and " << got.values[i];
    }
}

/// The codes of a product are its outputs divided by output_scale, and nothing else is written.
void expect_same_codes(const MatmulRowVariant& variant, const RowCase& c, const PackedRows& rows,
                       const Output& expected) {
    constexpr size_t kPad = 5;
    const size_t stride = c.shape.n + kPad;
    const size_t middle = c.shape.n / 2;
    GuardedBuffer<int8_t> codes(c.shape.m * stride - kPad, 0x55);
    run_codes(variant, c, rows.view, 0, middle, codes.data(), stride);
    run_codes(variant, c, rows.view, middle, c.shape.n, codes.data(), stride);
    for (size_t i = 0; i < codes.size(); ++i) {
        const size_t row = i / stride;
        const size_t n = i % stride;
        if (n >= c.shape.n) {
            ASSERT_EQ(codes[i], 0x55) << "row " << row << " column " << n;
            continue;
        }
        ASSERT_EQ(float_bits(static_cast<float>(codes[i]) * c.output_scale),
                  float_bits(expected.at(row, n) + 0.0F))
            << "row " << row << " column " << n;
    }
}

void compare(const MatmulRowVariant& variant, const RowCase& c) {
    SCOPED_TRACE(std::string("m ") + std::to_string(c.shape.m) + " n " + std::to_string(c.shape.n) +
                 " k " + std::to_string(c.shape.k));
    PackedRows expected_rows(c.shape);
    PackedRows rows(c.shape);
    pack(scalar(), c, expected_rows);
    pack(variant, c, rows);
    ASSERT_NO_FATAL_FAILURE(expect_same_packing(expected_rows, rows));

    Output expected(c.shape);
    Output whole(c.shape);
    run(scalar(), c, expected_rows.view, 0, c.shape.n, expected);
    run(variant, c, rows.view, 0, c.shape.n, whole);
    ASSERT_NO_FATAL_FAILURE(expect_same_bits(expected, whole));

    Output halves(c.shape);
    const size_t middle = c.shape.n / 2;
    run(variant, c, rows.view, middle, c.shape.n, halves);
    ASSERT_EQ(halves.canaries(), whole.canaries() + c.shape.m * middle);
    run(variant, c, rows.view, 0, middle, halves);
    ASSERT_NO_FATAL_FAILURE(expect_same_bits(expected, halves));
    if (c.output_scale > 0.0F) expect_same_codes(variant, c, rows, expected);
}

using Parameter = std::tuple<TestedVariant<MatmulRowVariant>, WeightType, size_t>;

class MatmulRow : public testing::TestWithParam<Parameter> {
  protected:
    const MatmulRowVariant& variant() const { return *std::get<0>(GetParam()).variant; }
    RowShape shape(size_t m, size_t n, size_t k) const {
        return {std::get<1>(GetParam()), std::get<2>(GetParam()), m, n, k};
    }
    void compare_random(size_t m, size_t n, size_t k) const {
        RowCase c(shape(m, n, k));
        const auto seed = static_cast<uint32_t>(m * 1000003 + n * 1009 + k);
        fill_random(c, seed);
        SCOPED_TRACE("seed " + std::to_string(seed));
        ASSERT_NO_FATAL_FAILURE(compare(variant(), c));
        // About a tenth of the outputs saturate.
        c.output_scale = 0.01F * std::sqrt(static_cast<float>(k)) / 40.0F;
        ASSERT_NO_FATAL_FAILURE(compare(variant(), c));
    }
};

constexpr size_t kRows[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 16, 17, 33};
constexpr size_t kColumns[] = {1, 3, 4, 5, 8, 9, 16, 17, 32, 47, 48, 49};

TEST_P(MatmulRow, equals_scalar_at_edges_of_k) {
    GEMLET_SKIP_UNLESS_RUNS(std::get<0>(GetParam()));
    for (const size_t k : {1, 3, 31, 32, 33, 63, 64, 65, 96, 127, 128, 129, 255, 256, 257, 1000}) {
        for (const size_t m : {1, 2, 3, 4, 5, 8, 9}) {
            ASSERT_NO_FATAL_FAILURE(compare_random(m, 5, k));
        }
    }
}

TEST_P(MatmulRow, equals_scalar_at_edges_of_tiles) {
    GEMLET_SKIP_UNLESS_RUNS(std::get<0>(GetParam()));
    for (const size_t m : kRows) {
        for (const size_t n : kColumns) ASSERT_NO_FATAL_FAILURE(compare_random(m, n, 129));
    }
}

TEST_P(MatmulRow, equals_scalar_on_long_rows) {
    GEMLET_SKIP_UNLESS_RUNS(std::get<0>(GetParam()));
    for (const size_t k : {1023, 1025, 1536, 2048, 2049, 4095, 4097, 6144, 12288}) {
        ASSERT_NO_FATAL_FAILURE(compare_random(1, 5, k));
        ASSERT_NO_FATAL_FAILURE(compare_random(4, 4, k));
        ASSERT_NO_FATAL_FAILURE(compare_random(9, 9, k));
    }
    ASSERT_NO_FATAL_FAILURE(compare_random(33, 17, 1536));
}

TEST_P(MatmulRow, equals_scalar_on_many_rows) {
    GEMLET_SKIP_UNLESS_RUNS(std::get<0>(GetParam()));
    if (std::get<2>(GetParam()) != 1) GTEST_SKIP() << "fixed-point rows are few";
    for (const size_t m : {255, 256, 257, 512}) {
        ASSERT_NO_FATAL_FAILURE(compare_random(m, 18, 260));
    }
}

// All activations and weights at the ends of their ranges: 16-bit sums that saturate would differ.
TEST_P(MatmulRow, sums_of_extreme_codes_do_not_saturate) {
    GEMLET_SKIP_UNLESS_RUNS(std::get<0>(GetParam()));
    for (const size_t m : {1, 2, 4, 9}) {
        for (const int weight : {0x00, 0xFF, 0x80, 0x7F, 0x0F, 0xF0}) {
            for (const float x : {-1e9F, 1e9F}) {
                RowCase c(shape(m, 2, 12288));
                fill_random(c, 1);
                memset(c.weights.data(), weight, c.weights.size());
                for (float& v : c.x.span()) v = x;
                ASSERT_NO_FATAL_FAILURE(compare(variant(), c));
            }
        }
    }
}

TEST_P(MatmulRow, handles_special_inputs) {
    GEMLET_SKIP_UNLESS_RUNS(std::get<0>(GetParam()));
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    const float specials[] = {0.0F,     -0.0F, 0.015625F,  -0.015625F, 0.046875F,
                              3.96875F, -4.0F, -4.015625F, 3.984375F,  1e-40F,
                              -1e-45F,  1e38F, -1e38F,     kInfinity,  -kInfinity};
    for (const size_t count : {size_t{1}, size_t{9}, size_t{12}, std::size(specials)}) {
        RowCase c(shape(9, 9, 70));
        fill_random(c, 3);
        for (size_t i = 0; i < c.x.size(); ++i) c.x[i] = specials[i * 7 % count];
        for (const float output_scale : {0.0F, 0.5F, 1e-30F, 1e30F}) {
            c.output_scale = output_scale;
            ASSERT_NO_FATAL_FAILURE(compare(variant(), c));
        }
    }
}

TEST_P(MatmulRow, agrees_with_the_oracle) {
    GEMLET_SKIP_UNLESS_RUNS(std::get<0>(GetParam()));
    for (const size_t k : {1, 33, 257, 1000, 1536}) {
        RowCase c(shape(9, 13, k));
        fill_random(c, static_cast<uint32_t>(k));
        for (const float output_scale : {0.0F, 0.003F * std::sqrt(static_cast<float>(k))}) {
            c.output_scale = output_scale;
            PackedRows rows(c.shape);
            Output out(c.shape);
            pack(variant(), c, rows);
            run(variant(), c, rows.view, 0, c.shape.n, out);
            SCOPED_TRACE("k " + std::to_string(k));
            check_against_oracle(c, out);
        }
    }
}

TEST_P(MatmulRow, accepts_strides_and_unaligned_weights) {
    GEMLET_SKIP_UNLESS_RUNS(std::get<0>(GetParam()));
    // The same product from rows that lie apart, at odd addresses, must not change.
    RowCase c(shape(9, 6, 300));
    fill_random(c, 11);
    PackedRows rows(c.shape);
    pack(variant(), c, rows);
    Output expected(c.shape);
    run(variant(), c, rows.view, 0, c.shape.n, expected);

    const size_t row = packed_bytes(c.shape.type, c.shape.k);
    const size_t stride = row + 7;
    GuardedBuffer<uint8_t> weights(stride * (c.shape.n - 1) + row, 0xEE);
    GuardedBuffer<uint8_t> scales(c.weight_scale.size() + 1);
    memcpy(scales.data(), c.weight_scale.data(), c.weight_scale.size());
    for (size_t n = 0; n < c.shape.n; ++n) {
        memcpy(weights.data() + n * stride, c.weights.data() + n * row, row);
    }
    Output out(c.shape);
    variant().run({.weights = weights.data(),
                   .weight_stride_bytes = stride,
                   .type = c.shape.type,
                   .weight_scale = scales.data(),
                   .x = rows.view,
                   .output_scale = 0.0F,
                   .out = out.values.data(),
                   .out_stride = out.stride(),
                   .m = c.shape.m,
                   .n_begin = 0,
                   .n_end = c.shape.n,
                   .k = c.shape.k});
    expect_same_bits(expected, out);
}

INSTANTIATE_TEST_SUITE_P(Variants, MatmulRow,
                         testing::Combine(testing::ValuesIn(matmul_row_tested()),
                                          testing::Values(WeightType::i2r, WeightType::i4r,
                                                          WeightType::i8r),
                                          testing::Values(size_t{1}, kFixedPointLimbs)),
                         [](const testing::TestParamInfo<Parameter>& tested) {
                             return std::string(type_name(std::get<1>(tested.param))) + "_" +
                                    (std::get<2>(tested.param) == 1 ? "i8" : "fixed") + "_" +
                                    std::get<0>(tested.param).name();
                         });

TEST(MatmulRowLayout, streams_are_padded_to_whole_registers) {
    EXPECT_EQ(row_stream_bytes(WeightType::i8r, 1), 64U);
    EXPECT_EQ(row_stream_bytes(WeightType::i8r, 65), 128U);
    EXPECT_EQ(row_stream_bytes(WeightType::i4r, 128), 64U);
    EXPECT_EQ(row_stream_bytes(WeightType::i4r, 129), 128U);
    EXPECT_EQ(row_stream_bytes(WeightType::i2r, 256), 64U);
    EXPECT_EQ(row_stream_bytes(WeightType::i2r, 257), 128U);
}

TEST(MatmulRowLayout, packing_follows_the_contract) {
    const float x[] = {0.5F, 1.5F, -2.5F, 300.0F, -300.0F};
    alignas(64) int8_t codes[2][64] = {};
    int32_t sum = 0;
    float scale = 0.0F;
    for (const auto& tested : matmul_row_tested()) {
        if (!tested.runs_here()) continue;
        tested.variant->pack({.x = x,
                              .x_stride = 5,
                              .m = 1,
                              .k = 5,
                              .type = WeightType::i4r,
                              .input_scale = 1.0F,
                              .out = {&codes[0][0], &sum, &scale, 1, 64}});
        EXPECT_EQ(codes[0][0], 0);  // ties to even
        EXPECT_EQ(codes[1][0], 2);
        EXPECT_EQ(codes[0][1], -2);
        EXPECT_EQ(codes[1][1], 127);
        EXPECT_EQ(codes[0][2], -128);
        EXPECT_EQ(codes[1][2], 0);
        EXPECT_EQ(sum, -1);
        EXPECT_EQ(scale, 1.0F);
    }
}

}  // namespace
}  // namespace gemlet::test
