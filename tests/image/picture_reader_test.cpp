// Every kind of picture against the pixels that the reference gets from it.
#include "frontends/image/picture_reader.h"

#include <gtest/gtest.h>

#include <numeric>

#include "frontends/image/formats/exif.h"
#include "frontends/image/formats/picture_format.h"
#include "tests/image/image_data.h"

namespace gemlet::image_test {
namespace {

using image::Picture;

TEST(PictureReader, gives_the_reference_s_pixels_for_every_kind_of_picture) {
    const std::vector<std::string> names = picture_names();
    for (const std::string& name : names) {
        const Result<Picture> picture = image::read_picture_file(path_of(name));
        ASSERT_TRUE(picture) << name << ": " << picture.error().message();
        const Picture expected = expected_pixels(name);
        EXPECT_EQ(picture->width, expected.width) << name;
        EXPECT_EQ(picture->height, expected.height) << name;
        EXPECT_TRUE(picture->pixels == expected.pixels) << name;
    }
}

TEST(PictureReader, names_formats_that_it_does_not_read) {
    const auto message = [](const std::string& text) {
        const Bytes bytes(text.begin(), text.end());
        const Result<Picture> picture = image::read_picture(bytes);
        EXPECT_FALSE(picture);
        EXPECT_EQ(picture.error().code(), StatusCode::unsupported);
        return picture.error().message();
    };
    EXPECT_TRUE(message(std::string("II*\0\x08", 5)).starts_with("TIFF: "));
    EXPECT_TRUE(message(std::string("MM\0*", 4)).starts_with("TIFF: "));
    EXPECT_TRUE(message(std::string("\0\0\0\x1C", 4) + "ftypheic").starts_with("HEIC: "));
    EXPECT_TRUE(message(std::string("\0\0\0\x1C", 4) + "ftypavif").starts_with("AVIF: "));
    EXPECT_TRUE(message(std::string("\0\0\0\x1C", 4) + "ftypisom").starts_with("MP4 video: "));
    EXPECT_TRUE(message("RIFF....WAVE").starts_with("not a picture"));
    EXPECT_TRUE(message("P4 1 1 1").starts_with("not a picture"));
    EXPECT_TRUE(message("P62").starts_with("not a picture"));
}

// The reference's pixels are kept as PPM.
TEST(PictureReader, gives_the_pixels_of_netpbm) {
    for (const char* name : {"rgb.png", "grey16.png", "420.jpg"}) {
        const Result<Picture> picture = image::read_picture_file(path_of(name) + ".ppm");
        ASSERT_TRUE(picture) << picture.error().message();
        EXPECT_TRUE(picture->pixels == expected_pixels(name).pixels) << name;
    }
}

TEST(PictureReader, scales_samples_of_netpbm) {
    const auto pixels = [](const std::string& header, const Bytes& samples) {
        Bytes bytes(header.begin(), header.end());
        bytes.insert(bytes.end(), samples.begin(), samples.end());
        const Result<Picture> picture = image::read_picture(bytes);
        EXPECT_TRUE(picture) << picture.error().message();
        return picture ? picture->pixels : Bytes();
    };
    EXPECT_EQ(pixels("P5\n3 1\n255\n", {0, 7, 255}), (Bytes{0, 0, 0, 7, 7, 7, 255, 255, 255}));
    EXPECT_EQ(pixels("P5 1 2 3\n", {2, 3}), (Bytes{170, 170, 170, 255, 255, 255}));
    EXPECT_EQ(pixels("P6 1 1 65535 ", {0x80, 0x80, 0xFF, 0x7F, 0x00, 0x80}), (Bytes{128, 255, 0}));
    EXPECT_EQ(pixels("P6 1 1 65535 ", {0x00, 0x81, 0, 0, 0xFF, 0xFF}), (Bytes{1, 0, 255}));
    EXPECT_EQ(pixels("P5 1 1 1000\n", {0x01, 0xF4}), (Bytes{128, 128, 128}));
    // Comments may stand between any two numbers; the one blank before the samples is not skipped
    // together with samples that look like blanks; another picture may follow.
    EXPECT_EQ(pixels("P5#of nothing\n2 # wide\r# and\n\t1 255\n", {'\n', '#', 'P', '5'}),
              (Bytes{10, 10, 10, 35, 35, 35}));
}

TEST(PictureReader, refuses_nothing_at_all) {
    const Result<Picture> picture = image::read_picture({});
    EXPECT_EQ(picture.error().code(), StatusCode::corrupt);
    EXPECT_EQ(image::read_picture_file(path_of("absent.png")).error().code(),
              StatusCode::not_found);
}

TEST(PictureReader, keeps_to_the_limits_of_its_caller) {
    for (const std::string& name : picture_names()) {
        const Picture expected = expected_pixels(name);
        const size_t n_pixels = expected.width * expected.height;
        const Bytes bytes = read_file(path_of(name));
        EXPECT_TRUE(image::read_picture(bytes, {.max_pixels = n_pixels})) << name;
        EXPECT_EQ(image::read_picture(bytes, {.max_pixels = n_pixels - 1}).error().code(),
                  StatusCode::bad_argument)
            << name;
        if (n_pixels > 1) {
            EXPECT_EQ(image::read_picture(bytes, {.max_side = 1}).error().code(),
                      StatusCode::bad_argument)
                << name;
        }
    }
}

TEST(Picture, turns_in_all_eight_ways) {
    // Numbers instead of colours: 0 1 2 over 3 4 5.
    const std::vector<std::vector<uint8_t>> upright = {
        {0, 1, 2, 3, 4, 5}, {2, 1, 0, 5, 4, 3}, {5, 4, 3, 2, 1, 0}, {3, 4, 5, 0, 1, 2},
        {0, 3, 1, 4, 2, 5}, {3, 0, 4, 1, 5, 2}, {5, 2, 4, 1, 3, 0}, {2, 5, 1, 4, 0, 3}};
    for (unsigned orientation = 1; orientation <= 8; ++orientation) {
        Picture picture = {3, 2, {}};
        for (uint8_t i = 0; i < 6; ++i) picture.pixels.insert(picture.pixels.end(), 3, i);
        image::turn_upright(picture, orientation);
        EXPECT_EQ(picture.width, orientation < 5 ? 3U : 2U);
        EXPECT_EQ(picture.height, orientation < 5 ? 2U : 3U);
        for (size_t i = 0; i < 6; ++i) {
            EXPECT_EQ(picture.pixels[i * 3], upright[orientation - 1][i]) << orientation;
        }
    }
}

TEST(Picture, lies_over_white) {
    std::vector<uint8_t> pixels = {10, 20, 30, 255, 10, 20, 30, 0, 0, 100, 255, 128};
    image::lay_over_white(pixels);
    EXPECT_EQ(pixels, (std::vector<uint8_t>{10, 20, 30, 255, 255, 255, 127, 177, 255}));
}

// A TIFF header and one directory of a single entry.
Bytes exif_block(bool big_endian, uint16_t tag, uint16_t type, uint32_t count, uint16_t value) {
    Bytes block = big_endian ? Bytes{'M', 'M'} : Bytes{'I', 'I'};
    const auto append = [&](uint32_t number, size_t n_bytes) {
        for (size_t i = 0; i < n_bytes; ++i) {
            const size_t shift = 8 * (big_endian ? n_bytes - 1 - i : i);
            block.push_back(static_cast<uint8_t>(number >> shift));
        }
    };
    append(42, 2);
    append(8, 4);
    append(1, 2);
    append(tag, 2);
    append(type, 2);
    append(count, 4);
    append(value, 2);
    append(0, 2);
    return block;
}

TEST(Exif, finds_the_orientation_in_either_byte_order) {
    EXPECT_EQ(image::exif_orientation(exif_block(true, 0x112, 3, 1, 6)), 6U);
    EXPECT_EQ(image::exif_orientation(exif_block(false, 0x112, 3, 1, 8)), 8U);
    Bytes marked = {'E', 'x', 'i', 'f', 0, 0};
    const Bytes block = exif_block(false, 0x112, 3, 1, 3);
    marked.insert(marked.end(), block.begin(), block.end());
    EXPECT_EQ(image::exif_orientation(marked), 3U);
}

TEST(Exif, takes_anything_broken_as_upright) {
    EXPECT_EQ(image::exif_orientation({}), 1U);
    EXPECT_EQ(image::exif_orientation(exif_block(true, 0x113, 3, 1, 6)), 1U);
    EXPECT_EQ(image::exif_orientation(exif_block(true, 0x112, 2, 1, 6)), 1U);
    EXPECT_EQ(image::exif_orientation(exif_block(true, 0x112, 3, 2, 6)), 1U);
    EXPECT_EQ(image::exif_orientation(exif_block(true, 0x112, 3, 1, 9)), 1U);
    EXPECT_EQ(image::exif_orientation(exif_block(true, 0x112, 3, 1, 0)), 1U);
    const Bytes whole = exif_block(true, 0x112, 3, 1, 6);
    for (size_t n = 0; n + 3 < whole.size(); ++n) {
        EXPECT_EQ(image::exif_orientation(Bytes(whole.begin(), whole.begin() + ptrdiff_t(n))), 1U);
    }
    Bytes far_away = whole;
    std::fill_n(far_away.begin() + 4, 4, uint8_t{0xFF});
    EXPECT_EQ(image::exif_orientation(far_away), 1U);
}

}  // namespace
}  // namespace gemlet::image_test
