// Sizes, scaling and cutting against the reference, bit for bit.
#include "frontends/image/preprocess.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "frontends/image/picture_reader.h"
#include "tests/image/image_data.h"

namespace gemlet::image_test {
namespace {

using image::Picture;
using image::PictureSize;

TEST(TargetSize, is_the_specification_s_for_its_examples) {
    struct Row {
        PictureSize source;
        PictureSize target[5];
    };
    const Row rows[] = {
        {{1920, 1080}, {{528, 288}, {720, 384}, {1056, 576}, {1488, 816}, {2112, 1200}}},
        {{1080, 1920}, {{288, 528}, {384, 720}, {576, 1056}, {816, 1488}, {1200, 2112}}},
        {{1024, 768}, {{432, 336}, {624, 480}, {912, 672}, {1296, 960}, {1824, 1344}}},
        {{4032, 3024}, {{432, 336}, {624, 480}, {912, 672}, {1296, 960}, {1824, 1344}}},
        {{1000, 1000}, {{384, 384}, {528, 528}, {768, 768}, {1104, 1104}, {1584, 1584}}},
        {{200, 600}, {{192, 672}, {288, 960}, {432, 1344}, {624, 1920}, {912, 2736}}},
        {{10000, 100}, {{3360, 48}, {5664, 48}, {8016, 48}, {11328, 96}, {16032, 144}}},
        {{7, 5}, {{432, 336}, {672, 480}, {912, 672}, {1344, 960}, {1872, 1344}}},
    };
    for (const Row& row : rows) {
        for (size_t i = 0; i < image::kBudgets.size(); ++i) {
            const auto target = image::target_size(row.source, image::kBudgets[i]);
            ASSERT_TRUE(target);
            EXPECT_EQ(*target, row.target[i]) << row.source.width << " at " << image::kBudgets[i];
        }
    }
    EXPECT_EQ(*image::target_size({294, 105}, 70), (PictureSize{672, 240}));  // not so in float32
    for (const PictureSize source : {PictureSize{960, 672}, {1920, 1344}, {2880, 2016}}) {
        EXPECT_EQ(*image::target_size(source, 280), (PictureSize{960, 672}));
    }
}

TEST(TargetSize, stays_within_the_budget_for_every_shape) {
    for (size_t width = 1; width < 2'000'000; width = width * 3 / 2 + 1) {
        for (size_t height = 1; height < 2'000'000; height = height * 3 / 2 + 1) {
            for (const size_t budget : image::kBudgets) {
                const auto target = image::target_size({width, height}, budget);
                ASSERT_TRUE(target);
                EXPECT_EQ(target->width % image::kTokenSide, 0U);
                EXPECT_EQ(target->height % image::kTokenSide, 0U);
                const size_t n_tokens = target->width * target->height / (48 * 48);
                EXPECT_GE(n_tokens, 1U);
                EXPECT_LE(n_tokens, budget);
            }
        }
    }
}

TEST(TargetSize, refuses_other_budgets_and_empty_pictures) {
    for (const size_t budget : {0, 1, 69, 71, 100, 256, 1121, 2240}) {
        EXPECT_EQ(image::target_size({10, 10}, budget).error().code(), StatusCode::bad_argument);
    }
    EXPECT_EQ(image::target_size({0, 10}, 70).error().code(), StatusCode::bad_argument);
    EXPECT_EQ(image::patches_of(Picture{}, 70).error().code(), StatusCode::bad_argument);
    EXPECT_EQ(image::patches_of(formula_picture(2, 2), 70, 32).error().code(),
              StatusCode::bad_argument);
}

TEST(Resize, leaves_a_picture_of_the_right_size_alone) {
    const Picture picture = formula_picture(7, 5);
    EXPECT_EQ(image::resize(picture, {7, 5}).pixels, picture.pixels);
}

TEST(Resize, keeps_flat_colours_and_any_size) {
    for (const PictureSize from : {PictureSize{1, 1}, {5, 3}, {50, 41}}) {
        for (const PictureSize to : {PictureSize{1, 1}, {3, 5}, {17, 16}, {48, 96}}) {
            Picture picture = {from.width, from.height, {}};
            for (size_t i = 0; i < from.width * from.height; ++i) {
                picture.pixels.insert(picture.pixels.end(), {0, 255, 77});
            }
            const Picture scaled = image::resize(picture, to);
            ASSERT_EQ(scaled.pixels.size(), to.width * to.height * 3);
            for (size_t i = 0; i < scaled.pixels.size(); i += 3) {
                EXPECT_EQ(scaled.pixels[i], 0);
                EXPECT_EQ(scaled.pixels[i + 1], 255);
                EXPECT_EQ(scaled.pixels[i + 2], 77);
            }
        }
    }
}

// The bytes that the values come from; each value is its byte times the float nearest to 1/255.
Bytes levels_of(const std::vector<float>& values) {
    Bytes levels(values.size());
    bool exact = true;
    for (size_t i = 0; i < values.size(); ++i) {
        levels[i] = static_cast<uint8_t>(values[i] * 255 + 0.5F);
        exact = exact && values[i] == static_cast<float>(levels[i]) * static_cast<float>(1 / 255.0);
    }
    EXPECT_TRUE(exact);
    return levels;
}

// name budget side rows cols tokens crc
TEST(Patches, are_the_reference_s_to_the_bit) {
    std::ifstream table(path_of("grids.txt"));
    ASSERT_TRUE(table);
    std::string line;
    std::string loaded;
    Picture picture;
    size_t n_compared = 0;
    while (std::getline(table, line)) {
        std::istringstream fields(line);
        std::string name;
        size_t budget = 0, side = 0, rows = 0, cols = 0, n_tokens = 0;
        uint32_t crc = 0;
        ASSERT_TRUE(fields >> name >> budget >> side >> rows >> cols >> n_tokens >> crc);
        if (name != loaded) {
            loaded = name;
            const size_t times = name.find('x');
            if (times != std::string::npos) {
                picture = formula_picture(std::stoul(name), std::stoul(name.substr(times + 1)));
            } else {
                const Result<Picture> read = image::read_picture_file(path_of(name));
                picture = read ? *read : Picture{};
            }
        }
        if (picture.pixels.empty()) continue;  // a format left out of this build
        const Result<PatchGrid> grid = image::patches_of(picture, budget, side);
        ASSERT_TRUE(grid) << line;
        EXPECT_EQ(grid->rows, rows) << line;
        EXPECT_EQ(grid->cols, cols) << line;
        EXPECT_EQ(grid->n_soft_tokens, n_tokens) << line;
        ASSERT_EQ(grid->values.size(), grid->n_patches() * grid->patch_dim());
        EXPECT_EQ(crc32(levels_of(grid->values)), crc) << line;
        ++n_compared;
    }
    EXPECT_GT(n_compared, 100U);
}

TEST(Patches, have_positions_in_row_major_order) {
    const Result<PatchGrid> grid = image::patches_of(formula_picture(10, 100), 140);
    ASSERT_TRUE(grid);
    ASSERT_EQ(grid->positions.size(), grid->n_patches());
    for (size_t i = 0; i < grid->positions.size(); ++i) {
        EXPECT_EQ(grid->positions[i], (PatchPosition{static_cast<int32_t>(i % grid->cols),
                                                     static_cast<int32_t>(i / grid->cols)}));
    }
}

TEST(Patches, hold_rows_of_rgb) {
    // Already of its size, so that patches are copies.
    const Picture picture = formula_picture(960, 672);
    for (const size_t side : {image::kEncoderPatchSide, image::kEmbedderPatchSide}) {
        const Result<PatchGrid> grid = image::patches_of(picture, 280, side);
        ASSERT_TRUE(grid);
        EXPECT_EQ(grid->n_soft_tokens, 280U);
        const size_t patch = grid->cols * 2 + 3;  // x 3, y 2
        const size_t in_patch = (5 * side + 7) * 3 + 1;
        const size_t in_picture = ((2 * side + 5) * 960 + 3 * side + 7) * 3 + 1;
        const float expected =
            static_cast<float>(picture.pixels[in_picture]) * static_cast<float>(1 / 255.0);
        EXPECT_EQ(grid->values[patch * grid->patch_dim() + in_patch], expected);
    }
}

}  // namespace
}  // namespace gemlet::image_test
