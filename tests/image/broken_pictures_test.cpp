// Pictures that are damaged or lie: an error or, where the damage cannot be seen, a picture of the
// size its header says; never anything else.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>

#include "frontends/image/picture_reader.h"
#include "tests/image/image_data.h"

namespace gemlet::image_test {
namespace {

using image::Picture;

Status read_status(const Bytes& bytes) {
    // A block of exactly that size, so that a sanitizer sees any read beyond.
    const auto block = std::make_unique<uint8_t[]>(bytes.size());
    std::copy(bytes.begin(), bytes.end(), block.get());
    const Result<Picture> picture = image::read_picture({block.get(), bytes.size()});
    if (!picture) return picture.error();
    EXPECT_EQ(picture->pixels.size(), picture->width * picture->height * 3);
    EXPECT_LE(picture->width * picture->height, image::PictureLimits{}.max_pixels);
    return {};
}

void expect_corrupt(const Bytes& bytes, const std::string& what) {
    const Status status = read_status(bytes);
    EXPECT_EQ(status.code(), StatusCode::corrupt) << what << ": " << status.message();
}

[[maybe_unused]] size_t find(const Bytes& bytes, std::initializer_list<uint8_t> pattern) {
    const auto at = std::search(bytes.begin(), bytes.end(), pattern.begin(), pattern.end());
    EXPECT_NE(at, bytes.end());
    return static_cast<size_t>(at - bytes.begin());
}

TEST(BrokenPictures, that_end_early_are_errors) {
    for (std::string name : picture_names()) {
        const Bytes whole = read_file(path_of(name));
        // What follows the first picture of a GIF is not looked at.
        size_t n_seen = whole.size() - 1;
        if (name.ends_with(".gif")) n_seen = n_seen * 9 / 10;
        if (name == "moving.gif") n_seen = whole.size() / 3;
        for (size_t n = n_seen; n >= 12; n -= std::min<size_t>(n, 64)) {
            // The first bytes still say what it is.
            expect_corrupt(Bytes(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(n)),
                           name + " cut to " + std::to_string(n));
        }
        for (size_t n = 1; n < 12; ++n) {
            const Bytes cut(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(n));
            EXPECT_FALSE(read_status(cut).ok()) << name << " cut to " << n;
        }
    }
}

TEST(BrokenPictures, with_changed_bytes_never_crash) {
    std::mt19937_64 random(1);
    for (const std::string& name : picture_names()) {
        const Bytes whole = read_file(path_of(name));
        for (size_t i = 0; i < 100; ++i) {
            Bytes bytes = whole;
            for (size_t n = random() % 3 + 1; n > 0; --n) {
                bytes[random() % bytes.size()] = static_cast<uint8_t>(random());
            }
            (void)read_status(bytes);
        }
    }
}

TEST(BrokenPictures, with_garbage_inside_are_errors_as_far_as_can_be_seen) {
    std::mt19937_64 random(2);
    for (const std::string& name : picture_names()) {
        const Bytes whole = read_file(path_of(name));
        size_t n_errors = 0;
        size_t n_tried = 0;
        for (size_t at = 0; at + 40 < whole.size(); at += 64, ++n_tried) {
            Bytes bytes = whole;
            for (size_t i = 0; i < 32; ++i) bytes[at + i] = static_cast<uint8_t>(random());
            if (!read_status(bytes).ok()) ++n_errors;
        }
        // Checksums find everything in a PNG; the scans of a progressive JPEG no longer fit.
        // A baseline JPEG shows less, and any bytes at all make a WebP.
        size_t n_least = 0;
        if (name.ends_with(".png")) n_least = n_tried;
        if (name == "progressive.jpg") n_least = n_tried * 3 / 4;
        EXPECT_GE(n_errors, n_least) << name;
    }
}

/// A file of the tests with a word of 16 bits changed.
Bytes changed(const char* name, size_t at, unsigned value) {
    Bytes bytes = read_file(path_of(name));
    bytes[at] = static_cast<uint8_t>(value);
    bytes[at + 1] = static_cast<uint8_t>(value >> 8U);
    return bytes;
}

TEST(BrokenPictures, bmp_that_lie_are_errors) {
    for (const size_t at : {10U, 14U, 18U, 22U, 28U}) {  // offset, header, sides, depth
        for (const unsigned value : {0U, 13U, 0x7FFFU, 0xFFFFU}) {
            if (at == 10 && value < 14) continue;                 // pixels may begin anywhere
            if ((at == 18 || at == 22) && value == 13) continue;  // and be fewer
            const Status status = read_status(changed("palette8.bmp", at, value));
            EXPECT_FALSE(status.ok()) << at << " " << value;
        }
    }
    expect_corrupt(changed("palette8.bmp", 46, 3), "colours that the palette lacks");
    expect_corrupt(changed("rgb565.bmp", 54, 0x0101), "a mask with a hole");
    expect_corrupt(changed("rgb565.bmp", 58, 0), "a mask of nothing");
    EXPECT_EQ(read_status(changed("palette8.bmp", 30, 1)).code(), StatusCode::unsupported);
    const Bytes huge = changed("rgb.bmp", 20, 0x7FFF);
    EXPECT_EQ(read_status(huge).code(), StatusCode::bad_argument);
}

#ifdef GEMLET_GIF
TEST(BrokenPictures, gif_that_lie_are_errors) {
    const Bytes plain = read_file(path_of("plain.gif"));
    const size_t picture = find(plain, {0x2C, 0, 0, 0, 0});
    const size_t data = picture + 10;
    for (const unsigned bits : {0U, 9U, 12U, 255U}) {
        expect_corrupt(changed("plain.gif", data, bits | plain[data + 1] << 8U), "bits of a pixel");
    }
    for (const size_t at : {picture + 1, picture + 3}) {
        expect_corrupt(changed("plain.gif", at, 1), "a picture beyond its screen");
    }
    for (const size_t at : {picture + 5, picture + 7}) {
        expect_corrupt(changed("plain.gif", at, 0), "a picture of nothing");
    }
    expect_corrupt(changed("plain.gif", 6, 0), "a screen of nothing");
    expect_corrupt(changed("plain.gif", data + 1, 0), "no data");
    expect_corrupt(changed("plain.gif", data + 2, 0xFFFF), "codes before they are made");
    Bytes few = plain;
    few[10] = static_cast<uint8_t>(few[10] & 0xF8U);  // two colours
    EXPECT_FALSE(read_status(few).ok());
}
#endif

TEST(BrokenPictures, netpbm_that_end_early_or_lie_are_errors) {
    const auto file = [](const std::string& header, size_t n_samples) {
        Bytes bytes(header.begin(), header.end());
        bytes.insert(bytes.end(), n_samples, 9);
        return bytes;
    };
    for (const auto& [header, n_samples] :
         {std::pair{"P6 #c\n3 2 255\n", 18U}, std::pair{"P5\n3 2 9999\n", 12U}}) {
        const Bytes whole = file(header, n_samples);
        EXPECT_TRUE(read_status(whole).ok()) << header;
        for (size_t n = 3; n < whole.size(); ++n) {
            expect_corrupt(Bytes(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(n)),
                           header + std::to_string(n));
        }
    }
    for (const char* header :
         {"P5 0 1 255\n", "P5 1 0 255\n", "P5 1 1 0\n", "P5 1 1 65536\n", "P5 1 1 8\n",
          "P5 -1 1 9\n", "P5 1 1 255x", "P5 99999999999999999999999 1 9\n", "P5 1 x 9\n", "P5\n#",
          "P6 9 9 9\n"}) {
        expect_corrupt(file(header, 20), header);
    }
    for (const char* header :
         {"P6 1000001 1 255\n", "P5 100000 100000 255\n", "P5 4294967295 4294967295 65535\n"}) {
        EXPECT_EQ(read_status(file(header, 20)).code(), StatusCode::bad_argument) << header;
    }
}

#ifdef GEMLET_PNG
const Bytes kOneGreyRow = {0x78, 0x9C, 0x63, 0x60, 0x00, 0x00, 0x00, 0x02, 0x00, 0x01};

TEST(BrokenPictures, png_that_promise_too_much_are_refused_before_anything_is_read) {
    EXPECT_EQ(read_status(png_file(1, 1, 8, 0, kOneGreyRow)).code(), StatusCode::ok);
    EXPECT_EQ(read_status(png_file(30000, 30000, 8, 0, kOneGreyRow)).code(),
              StatusCode::bad_argument);
    EXPECT_EQ(read_status(png_file(0x7FFFFFFF, 0x7FFFFFFF, 8, 2, kOneGreyRow)).code(),
              StatusCode::bad_argument);
    EXPECT_EQ(read_status(png_file(0xFFFFFFFF, 0xFFFFFFFF, 8, 2, kOneGreyRow)).code(),
              StatusCode::bad_argument);
    EXPECT_EQ(read_status(png_file(2'000'000, 1, 8, 0, kOneGreyRow)).code(),
              StatusCode::bad_argument);
}

TEST(BrokenPictures, png_with_headers_that_lie_are_errors) {
    expect_corrupt(png_file(0, 1, 8, 0, kOneGreyRow), "no width");
    expect_corrupt(png_file(1, 0, 8, 0, kOneGreyRow), "no height");
    expect_corrupt(png_file(2, 1, 8, 0, kOneGreyRow), "too wide");
    expect_corrupt(png_file(1, 2, 8, 0, kOneGreyRow), "too high");
    expect_corrupt(png_file(1, 1, 3, 0, kOneGreyRow), "3 bits");
    expect_corrupt(png_file(1, 1, 8, 5, kOneGreyRow), "colour type 5");
    expect_corrupt(png_file(1, 1, 8, 3, kOneGreyRow), "palette missing");
    expect_corrupt(png_file(1, 1, 8, 0, {}), "no data");
    expect_corrupt(png_file(1, 1, 8, 0, {1, 2, 3, 4, 5}), "not zlib");
}
#endif

#ifdef GEMLET_JPEG
// With another height and width in its frame header (SOF0 or SOF2).
Bytes jpeg_of_size(const std::string& name, uint8_t marker, uint16_t height, uint16_t width) {
    Bytes bytes = read_file(path_of(name));
    const size_t at = find(bytes, {0xFF, marker, 0x00, 0x11, 0x08});
    if (at + 9 >= bytes.size()) return {};
    bytes[at + 5] = static_cast<uint8_t>(height >> 8U);
    bytes[at + 6] = static_cast<uint8_t>(height);
    bytes[at + 7] = static_cast<uint8_t>(width >> 8U);
    bytes[at + 8] = static_cast<uint8_t>(width);
    return bytes;
}

TEST(BrokenPictures, jpeg_with_headers_that_lie_are_errors) {
    constexpr uint8_t kBaseline = 0xC0;
    constexpr uint8_t kProgressive = 0xC2;
    for (const auto& [name, marker] :
         {std::pair{"420.jpg", kBaseline}, std::pair{"progressive.jpg", kProgressive}}) {
        EXPECT_TRUE(read_status(jpeg_of_size(name, marker, 33, 45)).ok()) << name;
        expect_corrupt(jpeg_of_size(name, marker, 0, 45), "no height");
        expect_corrupt(jpeg_of_size(name, marker, 33, 0), "no width");
        expect_corrupt(jpeg_of_size(name, marker, 3300, 45), "too high");
        expect_corrupt(jpeg_of_size(name, marker, 33, 4500), "too wide");
        EXPECT_EQ(read_status(jpeg_of_size(name, marker, 65000, 65000)).code(),
                  StatusCode::bad_argument)
            << name;
    }
    expect_corrupt(jpeg_of_size("420.jpg", kBaseline, 8, 45), "most of it hidden");
}

// Scans without end are the work of many pictures from the bytes of one.
TEST(BrokenPictures, jpeg_with_scans_without_end_are_errors) {
    const Bytes bytes = read_file(path_of("progressive.jpg"));
    const auto scan = bytes.begin() + static_cast<ptrdiff_t>(find(bytes, {0xFF, 0xDA}));
    const Bytes behind(scan, bytes.end());
    const Bytes first(scan, scan + static_cast<ptrdiff_t>(find(behind, {0xFF, 0xC4})));
    Bytes many(bytes.begin(), scan);
    for (size_t i = 0; i < 1000; ++i) many.insert(many.end(), first.begin(), first.end());
    many.insert(many.end(), scan, bytes.end());
    expect_corrupt(many, "a thousand scans");
}

TEST(BrokenPictures, jpeg_padded_before_the_end_mark_are_read) {
    Bytes bytes = read_file(path_of("420.jpg"));
    bytes.insert(bytes.end() - 2, 4, 0);
    EXPECT_TRUE(read_status(bytes).ok());
    bytes.insert(bytes.end() - 2, 1000, 0);
    expect_corrupt(bytes, "a thousand bytes of nothing");
}
#endif

#ifdef GEMLET_WEBP
TEST(BrokenPictures, webp_with_headers_that_lie_are_errors) {
    Bytes bytes = read_file(path_of("lossy.webp"));
    const size_t at = find(bytes, {0x9D, 0x01, 0x2A});  // start code; 14 bits each of size follow
    const auto with_size = [&](uint32_t width, uint32_t height) {
        Bytes changed = bytes;
        changed[at + 3] = static_cast<uint8_t>(width);
        changed[at + 4] = static_cast<uint8_t>(width >> 8U);
        changed[at + 5] = static_cast<uint8_t>(height);
        changed[at + 6] = static_cast<uint8_t>(height >> 8U);
        return changed;
    };
    EXPECT_TRUE(read_status(with_size(45, 33)).ok());
    expect_corrupt(with_size(0, 33), "no width");
    expect_corrupt(with_size(45, 0), "no height");
    expect_corrupt(with_size(45, 16000), "too high");
    EXPECT_EQ(read_status(with_size(16383, 16383)).code(), StatusCode::bad_argument);
}
#endif

}  // namespace
}  // namespace gemlet::image_test
