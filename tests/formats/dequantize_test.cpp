// Every format against the specification's reference, bit for bit, and the integer view against the
// dequantized row.
#include "quant/formats/dequantize.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <vector>

#include "quant/formats/unpack_codes.h"
#include "tests/formats/format_golden.h"

namespace gemlet {
namespace {

// Bits, with all NaNs made one: which NaN comes out of infinity times zero is the CPU's choice.
uint32_t bits_of(float value) {
    return std::isnan(value) ? 0x7FC00000U : std::bit_cast<uint32_t>(value);
}

class EveryFormat : public testing::TestWithParam<WeightType> {};
class SpecifiedFormat : public testing::TestWithParam<WeightType> {};
class IntegerView : public testing::TestWithParam<WeightType> {};

// The GGUF types; the per-row types have tests of their own (row_codes_test.cpp).
bool is_gguf_type(WeightType type) { return weight_type_info(type).is_block || !has_codes(type); }

std::string case_name(const testing::TestParamInfo<WeightType>& tested) {
    return weight_type_name(tested.param);
}

TEST_P(SpecifiedFormat, dequantizes_to_the_bits_of_the_reference) {
    const WeightType type = GetParam();
    const FormatGolden golden = read_format_golden(type);
    ASSERT_FALSE(golden.values.empty());
    ASSERT_EQ(golden.row.size(), row_bytes(type, golden.values.size()));
    std::vector<float> out(golden.values.size());
    dequantize_row(type, golden.row.data(), out.size(), out.data());
    for (size_t i = 0; i < out.size(); ++i) {
        ASSERT_EQ(bits_of(out[i]), bits_of(golden.values[i]))
            << "weight " << i << ": " << out[i] << " for " << golden.values[i];
    }
}

TEST_P(EveryFormat, reads_blocks_at_odd_addresses) {
    const WeightType type = GetParam();
    const size_t n_cols = 512;
    std::vector<uint8_t> row = noise_bytes(7, row_bytes(type, n_cols) + 1);
    std::vector<float> at_odd(n_cols);
    dequantize_row(type, row.data() + 1, n_cols, at_odd.data());
    row.erase(row.begin());
    std::vector<float> at_even(n_cols);
    dequantize_row(type, row.data(), n_cols, at_even.data());
    for (size_t i = 0; i < n_cols; ++i) ASSERT_EQ(bits_of(at_odd[i]), bits_of(at_even[i])) << i;
}

TEST_P(IntegerView, of_any_bytes_gives_the_dequantized_row) {
    const WeightType type = GetParam();
    const size_t n_cols = 1024;
    const std::vector<uint8_t> row = noise_bytes(11, row_bytes(type, n_cols));
    std::vector<float> out(n_cols);
    std::vector<int8_t> codes(n_cols);
    std::vector<float> scales(n_cols / kCodeGroup + 1, 777.0F);
    std::vector<float> mins(n_cols / kCodeGroup + 1, 777.0F);
    dequantize_row(type, row.data(), n_cols, out.data());
    unpack_codes(type, row.data(), n_cols, codes.data(), scales.data(), mins.data());
    for (size_t i = 0; i < n_cols; ++i) {
        const size_t group = i / kCodeGroup;
        const float weight = scales[group] * static_cast<float>(codes[i]) - mins[group];
        ASSERT_EQ(bits_of(out[i]), bits_of(weight)) << i;
        ASSERT_LE(std::abs(int{codes[i]}), code_range(type)) << i;
        if (!has_mins(type)) {
            ASSERT_EQ(bits_of(mins[group]), 0U) << i;
        }
    }
    EXPECT_EQ(scales.back(), 777.0F);
    EXPECT_EQ(mins.back(), 777.0F);
}

TEST_P(IntegerView, reaches_its_code_range) {
    const WeightType type = GetParam();
    const size_t n_cols = 16384;
    std::vector<uint8_t> row = noise_bytes(13, row_bytes(type, n_cols));
    std::vector<int8_t> codes(n_cols);
    std::vector<float> scales(n_cols / kCodeGroup);
    std::vector<float> mins(n_cols / kCodeGroup);
    unpack_codes(type, row.data(), n_cols, codes.data(), scales.data(), mins.data());
    int largest = 0;
    for (const int8_t code : codes) largest = std::max(largest, std::abs(int{code}));
    EXPECT_EQ(largest, code_range(type));
}

TEST_P(EveryFormat, writes_nothing_for_no_columns) {
    float out = 5.0F;
    const uint8_t byte = 1;
    dequantize_row(GetParam(), &byte, 0, &out);
    EXPECT_EQ(out, 5.0F);
}

INSTANTIATE_TEST_SUITE_P(Types, EveryFormat, testing::ValuesIn(all_weight_types()), case_name);
INSTANTIATE_TEST_SUITE_P(Types, SpecifiedFormat, testing::ValuesIn(weight_types_if(is_gguf_type)),
                         case_name);
INSTANTIATE_TEST_SUITE_P(Types, IntegerView, testing::ValuesIn(weight_types_if(has_codes)),
                         case_name);

TEST(Dequantize, q4_1_minimum_has_the_stored_sign) {
    // d = 2, m = -3: weights 2 * nibble - 3.
    std::vector<uint8_t> block(20, 0x50);
    block[0] = 0x00, block[1] = 0x40, block[2] = 0x00, block[3] = 0xC2;
    int8_t codes[32];
    float scales[2];
    float mins[2];
    unpack_codes(WeightType::q4_1, block.data(), 32, codes, scales, mins);
    EXPECT_EQ(scales[0], 2.0F);
    EXPECT_EQ(mins[1], 3.0F);
    EXPECT_EQ(codes[0], 0);
    EXPECT_EQ(codes[16], 5);
}

TEST(Dequantize, leaves_floats_without_codes_alone) {
    const uint8_t row[4] = {1, 2, 3, 4};
    int8_t code = 9;
    float scale = 8.0F;
    float min = 7.0F;
    unpack_codes(WeightType::f32, row, 1, &code, &scale, &min);
    EXPECT_EQ(code, 9);
    EXPECT_EQ(scale, 8.0F);
    EXPECT_EQ(min, 7.0F);
}

}  // namespace
}  // namespace gemlet
