// Searched scales are never worse than rounded ones, codes can be exchanged under their scales, and
// no input is a fault.
#include "quant/formats/fit.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "quant/formats/dequantize.h"
#include "quant/formats/quantize.h"
#include "quant/formats/row_codes.h"
#include "quant/formats/unpack_codes.h"

namespace gemlet {
namespace {

constexpr size_t kCols = 1024;
constexpr WeightType kTypes[] = {WeightType::q4_0,   WeightType::q4_1, WeightType::q5_0,
                                 WeightType::q5_1,   WeightType::q8_0, WeightType::iq4_nl,
                                 WeightType::iq4_xs, WeightType::q2_k, WeightType::q3_k,
                                 WeightType::q4_k,   WeightType::q5_k, WeightType::q6_k};

std::vector<float> normal_values(uint32_t seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0.0F, 0.05F);
    std::vector<float> values(kCols);
    for (float& value : values) value = normal(random);
    return values;
}

std::vector<float> importances(uint32_t seed) {
    std::mt19937 random(seed);
    std::exponential_distribution<float> exponential(1.0F);
    std::vector<float> out(kCols);
    for (float& value : out) value = exponential(random);
    return out;
}

double weighted_error(const std::vector<float>& x, const std::vector<float>& w,
                      const std::vector<float>& q) {
    double error = 0;
    for (size_t i = 0; i < x.size(); ++i) {
        const double e = static_cast<double>(x[i]) - static_cast<double>(q[i]);
        error += static_cast<double>(w[i]) * e * e;
    }
    return error;
}

std::vector<uint8_t> fitted(WeightType type, const std::vector<float>& x,
                            const std::vector<float>& w) {
    std::vector<uint8_t> row(row_bytes(type, x.size()) + 1, 0xC3);
    EXPECT_TRUE(fit_row(type, x.data(), w.empty() ? nullptr : w.data(), x.size(), row.data()));
    EXPECT_EQ(row.back(), 0xC3) << "wrote past the row";
    row.pop_back();
    return row;
}

std::vector<float> dequantized(WeightType type, const std::vector<uint8_t>& row) {
    std::vector<float> out(kCols);
    dequantize_row(type, row.data(), kCols, out.data());
    return out;
}

TEST(Fit, searching_beats_rounding) {
    const std::vector<float> x = normal_values(1);
    const std::vector<float> w = importances(2);
    const std::vector<float> ones(kCols, 1.0F);
    for (const WeightType type : kTypes) {
        SCOPED_TRACE(weight_type_info(type).name);
        ASSERT_TRUE(can_fit(type));
        const double with = weighted_error(x, w, dequantized(type, fitted(type, x, w)));
        const double without = weighted_error(x, w, dequantized(type, fitted(type, x, {})));
        EXPECT_LT(with, without);
        if (!can_quantize(type)) continue;
        std::vector<uint8_t> rounded(row_bytes(type, kCols));
        ASSERT_TRUE(quantize_row(type, x.data(), kCols, rounded.data()));
        EXPECT_LT(with, weighted_error(x, w, dequantized(type, rounded)));
        EXPECT_LT(weighted_error(x, ones, dequantized(type, fitted(type, x, {}))),
                  weighted_error(x, ones, dequantized(type, rounded)));
    }
    EXPECT_FALSE(can_fit(WeightType::iq2_s));
    EXPECT_FALSE(fit_row(WeightType::f32, x.data(), nullptr, kCols, nullptr));
}

TEST(Fit, codes_change_and_scales_stay) {
    const std::vector<float> x = normal_values(3);
    const std::vector<float> other = normal_values(4);
    for (const WeightType type : kTypes) {
        SCOPED_TRACE(weight_type_info(type).name);
        std::vector<uint8_t> row = fitted(type, x, {});
        const std::vector<uint8_t> donor = fitted(type, other, {});
        std::vector<int8_t> codes(kCols);
        std::vector<int8_t> now(kCols);
        std::vector<float> scales(kCols / kCodeGroup);
        std::vector<float> mins(kCols / kCodeGroup);
        std::vector<float> scales_now(kCols / kCodeGroup);
        std::vector<float> mins_now(kCols / kCodeGroup);
        unpack_codes(type, row.data(), kCols, now.data(), scales.data(), mins.data());
        const std::vector<uint8_t> before = row;
        store_codes(type, now.data(), kCols, row.data());
        EXPECT_EQ(row, before);
        unpack_codes(type, donor.data(), kCols, codes.data(), scales_now.data(), mins_now.data());
        store_codes(type, codes.data(), kCols, row.data());
        unpack_codes(type, row.data(), kCols, now.data(), scales_now.data(), mins_now.data());
        EXPECT_EQ(now, codes);
        EXPECT_EQ(scales_now, scales);
        EXPECT_EQ(mins_now, mins);
        for (const float value : {-1e30F, -3.4F, 0.0F, 0.6F, 1e30F, NAN}) {
            const int code = nearest_view_code(type, value);
            EXPECT_LE(std::abs(code), code_range(type));
        }
    }
}

TEST(Fit, no_input_is_a_fault) {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    for (const float odd : {0.0F, NAN, kInfinity, -kInfinity, 3e38F, 1e-44F}) {
        std::vector<float> x(kCols, odd);
        std::vector<float> mixed = normal_values(5);
        mixed[7] = odd;
        mixed[300] = -odd;
        for (const WeightType type : kTypes) {
            fitted(type, x, {});
            fitted(type, mixed, importances(6));
        }
        std::vector<int8_t> codes(kCols);
        const std::vector<float> ones(kCols, 1.0F);
        for (const WeightType type : {WeightType::i2r, WeightType::i4r, WeightType::i8r}) {
            const float scale = fit_codes(type, mixed.data(), ones.data(), kCols, codes.data());
            EXPECT_GT(scale, 0.0F);
            EXPECT_TRUE(std::isfinite(scale)) << odd;
        }
    }
    const std::vector<float> zeros(kCols, 0.0F);
    for (const WeightType type : kTypes) {
        EXPECT_EQ(dequantized(type, fitted(type, zeros, {})), zeros);
    }
}

TEST(Fit, rows_of_integers_get_one_good_scale) {
    const std::vector<float> x = normal_values(7);
    const std::vector<float> ones(kCols, 1.0F);
    double last = INFINITY;
    for (const WeightType type : {WeightType::i2r, WeightType::i4r, WeightType::i8r}) {
        std::vector<int8_t> codes(kCols);
        const float scale = fit_codes(type, x.data(), ones.data(), kCols, codes.data());
        std::vector<float> q(kCols);
        for (size_t i = 0; i < kCols; ++i) q[i] = scale * static_cast<float>(codes[i]);
        const double error = weighted_error(x, ones, q);
        // No other scale within a factor of two does better by more than the grid is coarse.
        for (float other = 0.5F; other < 2.0F; other *= 1.01F) {
            for (size_t i = 0; i < kCols; ++i) {
                const float s = scale * other;
                q[i] = s * static_cast<float>(nearest_view_code(type, x[i] / s));
            }
            EXPECT_GT(weighted_error(x, ones, q), 0.97 * error) << weight_type_info(type).name;
        }
        EXPECT_LT(error, last / 4);
        last = error;
    }
}

}  // namespace
}  // namespace gemlet
