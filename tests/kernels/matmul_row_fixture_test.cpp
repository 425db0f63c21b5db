// matmul_row against what transformers computed: single linears with odd shapes and extreme codes
// (tests/data), and every text linear of a small checkpoint (reference data, if present).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>

#include "core/files/safetensors.h"
#include "tests/kernels/matmul_row_case.h"

namespace gemlet::test {
namespace {

template <class T>
std::vector<T> values_of(const SafetensorsFiles& file, const std::string& name) {
    const TensorView* tensor = file.tensor(name);
    if (tensor == nullptr) return {};
    std::vector<T> out(tensor->bytes.size() / sizeof(T));
    memcpy(out.data(), tensor->bytes.data(), out.size() * sizeof(T));
    return out;
}

/// A linear of the file format and what it should give.
struct Linear {
    explicit Linear(const RowShape& shape) : row_case(shape) {}

    RowCase row_case;
    std::vector<int8_t> x_codes;
    std::vector<int32_t> acc;
    std::vector<float> y;
    std::vector<int8_t> y_codes;
};

WeightType type_of(size_t row_bytes, size_t k) {
    if (row_bytes == k) return WeightType::i8r;
    return row_bytes * 2 == k ? WeightType::i4r : WeightType::i2r;
}

std::unique_ptr<Linear> load(const SafetensorsFiles& weights, const std::string& weight_name,
                             const SafetensorsFiles& goldens, const std::string& name) {
    const TensorView* weight = weights.tensor(weight_name + ".weight");
    const TensorView* x = goldens.tensor(name + ".x");
    const auto input_scale = values_of<float>(weights, weight_name + ".input_activation_scale");
    const auto output_scale = values_of<float>(weights, weight_name + ".output_activation_scale");
    const size_t k = x->shape[x->n_dims - 1];
    const size_t n = weight->shape[0];
    const RowShape shape = {type_of(weight->shape[1], k),
                            input_scale.at(0) > 0.0F ? 1 : kFixedPointLimbs, x->n_elements() / k, n,
                            k};
    auto linear = std::make_unique<Linear>(shape);
    linear->x_codes = values_of<int8_t>(goldens, name + ".x_codes");
    linear->acc = values_of<int32_t>(goldens, name + ".acc");
    linear->y = values_of<float>(goldens, name + ".y");
    linear->y_codes = values_of<int8_t>(goldens, name + ".y_codes");
    RowCase& c = linear->row_case;
    EXPECT_EQ(weight->bytes.size(), c.weights.size());
    memcpy(c.weights.data(), weight->bytes.data(), c.weights.size());
    const auto scales = values_of<float>(weights, weight_name + ".weight_scale");
    for (size_t i = 0; i < n; ++i) c.set_weight_scale(i, scales.at(i));
    memcpy(c.x.data(), x->bytes.data(), x->bytes.size());
    c.input_scale = input_scale.at(0);
    c.output_scale = output_scale.at(0);
    return linear;
}

void check_codes(const Linear& linear, const PackedRows& rows) {
    const RowShape& s = linear.row_case.shape;
    const size_t streams = row_streams(s.type);
    for (size_t i = 0; i < linear.x_codes.size(); ++i) {
        const size_t column = i % s.k;
        const size_t at =
            (i / s.k * streams + column % streams) * rows.view.stream_bytes + column / streams;
        ASSERT_EQ(rows.codes[at], linear.x_codes[i]) << "input " << i;
    }
}

// With all scales one the output is the integer sum, rounded to float.
void check_sums(const MatmulRowVariant& variant, const Linear& linear, const PackedRows& rows) {
    const RowShape& s = linear.row_case.shape;
    RowCase plain(s);
    memcpy(plain.weights.data(), linear.row_case.weights.data(), plain.weights.size());
    for (size_t n = 0; n < s.n; ++n) plain.set_weight_scale(n, 1.0F);
    std::vector<float> ones(s.m, 1.0F);
    RowActivations x = rows.view;
    x.scale = ones.data();
    Output out(s);
    run(variant, plain, x, 0, s.n, out);
    for (size_t i = 0; i < linear.acc.size(); ++i) {
        ASSERT_EQ(out.at(i / s.n, i % s.n), static_cast<float>(linear.acc[i])) << "sum " << i;
    }
}

// Codes are equal but where the value before rounding is next to a tie; there they may differ by 1.
void check_outputs(const Linear& linear, const Output& out) {
    const RowCase& c = linear.row_case;
    for (size_t i = 0; i < linear.y.size(); ++i) {
        const float got = out.at(i / c.shape.n, i % c.shape.n);
        if (c.output_scale == 0.0F) {
            // Fixed-point inputs against float sums: float's own error on k terms.
            EXPECT_NEAR(got, linear.y[i], 1e-6F * std::max(1.0F, std::fabs(linear.y[i])) * 4.0F);
            continue;
        }
        const float code = std::nearbyint(got / c.output_scale);
        if (code == static_cast<float>(linear.y_codes[i])) {
            EXPECT_NEAR(got, linear.y[i], 1e-6F * std::fabs(linear.y[i])) << "output " << i;
            continue;
        }
        const size_t row = i / c.shape.n;
        const double v = static_cast<double>(linear.acc[i]) * static_cast<double>(c.input_scale) *
                         static_cast<double>(c.get_weight_scale(i % c.shape.n)) /
                         static_cast<double>(c.output_scale);
        EXPECT_LE(std::fabs(v - std::floor(v) - 0.5), 4e-6 * std::fmax(std::fabs(v), 2.0))
            << "row " << row << " output " << i;
        EXPECT_EQ(std::fabs(code - static_cast<float>(linear.y_codes[i])), 1.0F);
    }
}

void check(const MatmulRowVariant& variant, const Linear& linear) {
    PackedRows rows(linear.row_case.shape);
    pack(variant, linear.row_case, rows);
    if (linear.row_case.input_scale > 0.0F) {
        ASSERT_NO_FATAL_FAILURE(check_codes(linear, rows));
        ASSERT_NO_FATAL_FAILURE(check_sums(variant, linear, rows));
    }
    Output out(linear.row_case.shape);
    run(variant, linear.row_case, rows.view, 0, linear.row_case.shape.n, out);
    check_outputs(linear, out);
}

class MatmulRowFixture : public testing::TestWithParam<TestedVariant<MatmulRowVariant>> {};

TEST_P(MatmulRowFixture, unit_linears_agree) {
    GEMLET_SKIP_UNLESS_RUNS(GetParam());
    auto file =
        SafetensorsFiles::open_file(GEMLET_TEST_DATA "/kernels/qat_unit_linears.safetensors");
    ASSERT_TRUE(file.has_value());
    size_t n_linears = 0;
    for (; file->tensor(std::to_string(n_linears) + ".weight") != nullptr; ++n_linears) {
        const std::string name = std::to_string(n_linears);
        SCOPED_TRACE("linear " + name);
        check(*GetParam().variant, *load(*file, name, *file, name));
    }
    EXPECT_EQ(n_linears, 10U);
}

TEST_P(MatmulRowFixture, every_text_linear_of_a_checkpoint_agrees) {
    GEMLET_SKIP_UNLESS_RUNS(GetParam());
    const std::string folder = GEMLET_SHARED_DATA "/data/fixtures-qat";
    auto weights = SafetensorsFiles::open_directory(folder + "/checkpoint");
    auto trace = SafetensorsFiles::open_file(folder + "/trace_4.safetensors");
    if (!weights.has_value() || !trace.has_value()) GTEST_SKIP() << "no reference data";
    size_t n_linears = 0;
    for (const TensorView& tensor : trace->tensors()) {
        if (!tensor.name.ends_with(".x")) continue;
        const std::string name = tensor.name.substr(0, tensor.name.size() - 2);
        SCOPED_TRACE(name);
        check(*GetParam().variant, *load(*weights, name, *trace, name));
        ++n_linears;
    }
    EXPECT_EQ(n_linears, 49U);
}

INSTANTIATE_TEST_SUITE_P(Variants, MatmulRowFixture, testing::ValuesIn(matmul_row_tested()),
                         [](const auto& tested) { return tested.param.name(); });

}  // namespace
}  // namespace gemlet::test
