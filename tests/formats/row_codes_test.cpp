// The per-row integer types: field order, offset binary, tails.
#include "quant/formats/row_codes.h"

#include <gtest/gtest.h>

#include <vector>

#include "quant/formats/dequantize.h"
#include "tests/formats/format_golden.h"

namespace gemlet {
namespace {

const WeightType kRowTypes[] = {WeightType::i2r, WeightType::i4r, WeightType::i8r};

TEST(RowCodes, lie_low_field_first_as_offset_binary) {
    const int8_t fours[4] = {-8, 7, 0, 1};
    uint8_t row[2] = {};
    pack_codes(WeightType::i4r, fours, 4, row);
    EXPECT_EQ(row[0], 0xF0);
    EXPECT_EQ(row[1], 0x98);
    const int8_t twos[4] = {-2, -1, 0, 1};
    pack_codes(WeightType::i2r, twos, 4, row);
    EXPECT_EQ(row[0], 0xE4);
    const int8_t eights[2] = {-128, 127};
    pack_codes(WeightType::i8r, eights, 2, row);
    EXPECT_EQ(row[0], 0x80);
    EXPECT_EQ(row[1], 0x7F);
}

TEST(RowCodes, fill_the_last_byte_with_code_zero) {
    const int8_t codes[1] = {-1};
    uint8_t row = 0;
    pack_codes(WeightType::i4r, codes, 1, &row);
    EXPECT_EQ(row, 0x87);
    pack_codes(WeightType::i2r, codes, 1, &row);
    EXPECT_EQ(row, 0xA9);
}

TEST(RowCodes, come_back_at_every_length_and_touch_nothing_else) {
    for (const WeightType type : kRowTypes) {
        for (size_t n_cols = 0; n_cols <= 70; ++n_cols) {
            const size_t n_bytes = row_bytes(type, n_cols);
            const std::vector<uint8_t> bytes = noise_bytes(n_cols, n_bytes);
            std::vector<int8_t> codes(n_cols + 1, 99);
            unpack_row_codes(type, bytes.data(), n_cols, codes.data());
            ASSERT_EQ(codes[n_cols], 99);
            std::vector<uint8_t> row(n_bytes + 1, 0x5A);
            pack_codes(type, codes.data(), n_cols, row.data());
            ASSERT_EQ(row[n_bytes], 0x5A);
            std::vector<int8_t> again(n_cols + 1, 99);
            unpack_row_codes(type, row.data(), n_cols, again.data());
            ASSERT_EQ(codes, again) << weight_type_name(type) << " " << n_cols;
            if (n_cols % 4 != 0) continue;
            row.pop_back();
            ASSERT_EQ(row, bytes) << weight_type_name(type) << " " << n_cols;
        }
    }
}

TEST(RowCodes, outside_the_range_are_clamped) {
    const int8_t codes[4] = {-128, 127, -9, 8};
    uint8_t row[2] = {};
    int8_t back[4] = {};
    pack_codes(WeightType::i4r, codes, 4, row);
    unpack_row_codes(WeightType::i4r, row, 4, back);
    EXPECT_EQ(std::vector<int8_t>(back, back + 4), (std::vector<int8_t>{-8, 7, -8, 7}));
    pack_codes(WeightType::i2r, codes, 4, row);
    unpack_row_codes(WeightType::i2r, row, 4, back);
    EXPECT_EQ(std::vector<int8_t>(back, back + 4), (std::vector<int8_t>{-2, 1, -2, 1}));
}

TEST(RowCodes, dequantize_to_themselves_with_tails) {
    for (const WeightType type : kRowTypes) {
        const size_t n_cols = 256 + 16 + 3;
        const std::vector<uint8_t> row = noise_bytes(21, row_bytes(type, n_cols));
        std::vector<int8_t> codes(n_cols);
        std::vector<float> out(n_cols + 1, 0.5F);
        unpack_row_codes(type, row.data(), n_cols, codes.data());
        dequantize_row(type, row.data(), n_cols, out.data());
        for (size_t i = 0; i < n_cols; ++i) ASSERT_EQ(out[i], static_cast<float>(codes[i]));
        ASSERT_EQ(out[n_cols], 0.5F);
    }
}

TEST(RowCodes, other_types_write_nothing) {
    const int8_t codes[4] = {1, 1, 1, 1};
    uint8_t row[4] = {7, 7, 7, 7};
    pack_codes(WeightType::q4_0, codes, 4, row);
    EXPECT_EQ(row[0], 7);
    int8_t back[4] = {3, 3, 3, 3};
    unpack_row_codes(WeightType::f32, row, 4, back);
    EXPECT_EQ(back[0], 3);
}

}  // namespace
}  // namespace gemlet
