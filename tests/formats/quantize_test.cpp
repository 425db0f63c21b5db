// Quantizers: every code is the nearest one on the stored grid, and the error stays within bounds
// derived from each format's layout.
#include "quant/formats/quantize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "quant/formats/dequantize.h"
#include "quant/formats/unpack_codes.h"
#include "tests/formats/format_golden.h"

namespace gemlet {
namespace {

constexpr size_t kCols = 1024;
constexpr double kHalfError = 1.0 / 2048;  // relative error of a normal half

struct CodeLimits {
    int low;
    int high;
};

CodeLimits limits_of(WeightType type) {
    const int range = code_range(type);
    if (has_mins(type)) return {0, range};
    if (type == WeightType::q8_0) return {-127, 127};
    return {-range, range - 1};
}

bool has_block_quantizer(WeightType type) { return can_quantize(type) && has_codes(type); }

bool has_even_steps(WeightType type) {
    return has_block_quantizer(type) && type != WeightType::iq4_nl;
}

std::vector<uint8_t> quantized(WeightType type, const std::vector<float>& values) {
    std::vector<uint8_t> row(row_bytes(type, values.size()) + 1, 0xC3);
    EXPECT_TRUE(quantize_row(type, values.data(), values.size(), row.data()));
    EXPECT_EQ(row.back(), 0xC3) << "wrote past the row";
    row.pop_back();
    return row;
}

std::vector<float> dequantized(WeightType type, const std::vector<uint8_t>& row, size_t n_cols) {
    std::vector<float> out(n_cols);
    dequantize_row(type, row.data(), n_cols, out.data());
    return out;
}

// Worst error of one weight in a block of largest magnitude 1. Symmetric formats lose up to one
// step at the end that lacks a code; K-quants also what rounding a sub-block's scale (and minimum)
// to an integer can cut off. Half scales add a few times their own error.
double error_bound(WeightType type) {
    const double range = code_range(type);
    switch (type) {
        case WeightType::q4_0:
        case WeightType::q5_0:
            return 1.0 / range + 2 * kHalfError;
        case WeightType::q4_1:
        case WeightType::q5_1:
            return 1.0 / range + 4 * kHalfError;  // range of values at most 2, half a step
        case WeightType::q8_0:
            return 0.5 / 127 + 2 * kHalfError;
        case WeightType::q3_k:
            return 1.0 / range + 1.0 / 32 + 4 * kHalfError;
        case WeightType::q6_k:
            return 1.0 / range + 1.0 / 128 + 4 * kHalfError;
        case WeightType::iq4_nl:
            return 14.0 / 127 + 2 * kHalfError;  // -127 has no mirror image: 113 is nearest to 127
        default: {
            // Sub-block range at most 2: half a step, half a unit of the scale at every code, half
            // a unit of the minimum at both ends.
            const double scale_top = type == WeightType::q2_k ? 15 : 63;
            return 1.0 / range + (1.0 / range + 1.0 + 1.0) / scale_top + 4 * kHalfError;
        }
    }
}

std::string case_name(const testing::TestParamInfo<WeightType>& tested) {
    return weight_type_name(tested.param);
}

class Quantizer : public testing::TestWithParam<WeightType> {};
class EvenQuantizer : public testing::TestWithParam<WeightType> {};

TEST_P(EvenQuantizer, chooses_the_nearest_code) {
    const WeightType type = GetParam();
    for (const float amplitude : {1e-4F, 0.05F, 1.0F, 300.0F}) {
        std::vector<float> values = noise(31, kCols);
        for (float& value : values) value *= amplitude;
        const std::vector<uint8_t> row = quantized(type, values);
        int8_t codes[kCols];
        float scales[kCols / kCodeGroup];
        float mins[kCols / kCodeGroup];
        unpack_codes(type, row.data(), kCols, codes, scales, mins);
        const CodeLimits limits = limits_of(type);
        for (size_t i = 0; i < kCols; ++i) {
            const double scale = static_cast<double>(scales[i / kCodeGroup]);
            const double min = static_cast<double>(mins[i / kCodeGroup]);
            const double ends[2] = {scale * limits.low - min, scale * limits.high - min};
            const double value = static_cast<double>(values[i]);
            const double inside =
                std::clamp(value, std::min(ends[0], ends[1]), std::max(ends[0], ends[1]));
            // The quotient that is rounded carries float32 errors of its terms.
            const double slack = 4 * 0x1p-24 * (std::fabs(value) + std::fabs(min));
            ASSERT_LE(std::fabs(inside - (scale * codes[i] - min)), std::fabs(scale) / 2 + slack)
                << i << " of " << value;
        }
    }
}

TEST_P(Quantizer, stays_within_the_bound_of_its_layout) {
    const WeightType type = GetParam();
    const size_t block = weight_type_info(type).block_weights;
    for (const float amplitude : {1.0F, 50.0F}) {
        std::vector<float> values = noise(37, kCols);
        for (float& value : values) value *= amplitude;
        const std::vector<float> out = dequantized(type, quantized(type, values), kCols);
        for (size_t b = 0; b < kCols; b += block) {
            double largest = 0;
            double error = 0;
            for (size_t i = b; i < b + block; ++i) {
                largest = std::max(largest, std::fabs(static_cast<double>(values[i])));
                error = std::max(error, std::fabs(static_cast<double>(values[i] - out[i])));
            }
            ASSERT_LE(error, error_bound(type) * largest) << b;
        }
    }
}

TEST_P(Quantizer, keeps_zeros_and_constant_rows) {
    const WeightType type = GetParam();
    const std::vector<float> zeros(256, 0.0F);
    for (const float value : dequantized(type, quantized(type, zeros), 256)) {
        ASSERT_EQ(value, 0.0F);
    }
    for (const float constant : {0.75F, -0.75F}) {
        const std::vector<float> values(256, constant);
        for (const float value : dequantized(type, quantized(type, values), 256)) {
            ASSERT_NEAR(value, constant, 0.75 * 4 * kHalfError);
        }
    }
}

TEST_P(Quantizer, survives_every_kind_of_number) {
    const WeightType type = GetParam();
    const float infinity = std::numeric_limits<float>::infinity();
    const float odd[8] = {infinity, -infinity, std::nanf(""), 3e38F, -3e38F, 1e-45F, -0.0F, 7e4F};
    for (size_t kept = 0; kept < 8; ++kept) {
        std::vector<float> values(256);
        for (size_t i = 0; i < 256; ++i) values[i] = i % 3 == 0 ? odd[kept] : odd[i % 8];
        for (const float value : dequantized(type, quantized(type, values), 256)) {
            ASSERT_TRUE(std::isfinite(value));
        }
        std::fill(values.begin(), values.end(), odd[kept]);
        for (const float value : dequantized(type, quantized(type, values), 256)) {
            ASSERT_TRUE(std::isfinite(value));
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Types, Quantizer, testing::ValuesIn(weight_types_if(has_block_quantizer)),
                         case_name);
INSTANTIATE_TEST_SUITE_P(Types, EvenQuantizer, testing::ValuesIn(weight_types_if(has_even_steps)),
                         case_name);

TEST(Quantize, quantized_rows_are_fixed_points) {
    // The value of largest magnitude sits on the outermost code, which gives the scale back
    // exactly.
    for (const WeightType type :
         {WeightType::q4_0, WeightType::q5_0, WeightType::q8_0, WeightType::iq4_nl}) {
        const std::vector<uint8_t> row = quantized(type, noise(41, kCols));
        const std::vector<float> values = dequantized(type, row, kCols);
        EXPECT_EQ(dequantized(type, quantized(type, values), kCols), values)
            << weight_type_name(type);
    }
}

TEST(Quantize, floats_are_rounded_or_copied) {
    const std::vector<float> values = noise(43, 50);
    EXPECT_EQ(dequantized(WeightType::f32, quantized(WeightType::f32, values), 50), values);
    const std::vector<float> halves =
        dequantized(WeightType::f16, quantized(WeightType::f16, values), 50);
    const std::vector<float> brains =
        dequantized(WeightType::bf16, quantized(WeightType::bf16, values), 50);
    for (size_t i = 0; i < 50; ++i) {
        EXPECT_NEAR(halves[i], values[i], std::fabs(values[i]) * 0x1p-11F);
        EXPECT_NEAR(brains[i], values[i], std::fabs(values[i]) * 0x1p-8F);
    }
}

TEST(Quantize, types_without_quantizer_are_refused) {
    const std::vector<float> values(256, 1.0F);
    for (const WeightType type : all_weight_types()) {
        if (can_quantize(type)) continue;
        std::vector<uint8_t> row(256, 0x77);
        EXPECT_FALSE(quantize_row(type, values.data(), 256, row.data())) << weight_type_name(type);
        EXPECT_EQ(row, std::vector<uint8_t>(256, 0x77)) << weight_type_name(type);
    }
}

}  // namespace
}  // namespace gemlet
