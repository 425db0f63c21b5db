#include "tests/image/image_data.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

namespace gemlet::image_test {
namespace {

bool is_readable(const std::filesystem::path& path) {
    if (path.extension() == ".bmp") return true;
#ifdef GEMLET_GIF
    if (path.extension() == ".gif") return true;
#endif
#ifdef GEMLET_JPEG
    if (path.extension() == ".jpg") return true;
#endif
#ifdef GEMLET_PNG
    if (path.extension() == ".png") return true;
#endif
#ifdef GEMLET_WEBP
    if (path.extension() == ".webp") return true;
#endif
    return false;
}

void append_number(Bytes& bytes, uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) {
        bytes.push_back(static_cast<uint8_t>(value >> static_cast<unsigned>(shift)));
    }
}

void append_chunk(Bytes& bytes, const std::string& name, const Bytes& data) {
    append_number(bytes, static_cast<uint32_t>(data.size()));
    Bytes body(name.begin(), name.end());
    body.insert(body.end(), data.begin(), data.end());
    bytes.insert(bytes.end(), body.begin(), body.end());
    append_number(bytes, crc32(body));
}

}  // namespace

Bytes read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    EXPECT_TRUE(file.good()) << path;
    return {std::istreambuf_iterator<char>(file), {}};
}

std::string path_of(const std::string& name) { return GEMLET_TEST_DATA "/image/" + name; }

std::vector<std::string> picture_names() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(GEMLET_TEST_DATA "/image")) {
        const std::filesystem::path& path = entry.path();
        if (is_readable(path) && std::filesystem::exists(path.string() + ".ppm")) {
            names.push_back(path.filename().string());
        }
    }
    std::sort(names.begin(), names.end());
    return names;
}

image::Picture expected_pixels(const std::string& name) {
    const Bytes bytes = read_file(path_of(name) + ".ppm");
    const auto header_end = std::find(bytes.begin(), bytes.end(), '\n');
    std::istringstream header(std::string(bytes.begin(), header_end));
    std::string magic;
    image::Picture picture;
    header >> magic >> picture.width >> picture.height;
    if (header_end != bytes.end()) picture.pixels.assign(header_end + 1, bytes.end());
    EXPECT_EQ(picture.pixels.size(), picture.width * picture.height * 3) << name;
    return picture;
}

image::Picture formula_picture(size_t width, size_t height) {
    image::Picture picture = {width, height, Bytes(width * height * 3)};
    for (uint64_t i = 0; i < picture.pixels.size(); ++i) {
        picture.pixels[i] = static_cast<uint8_t>(i * 2654435761U >> 13U);
    }
    return picture;
}

uint32_t crc32(std::span<const uint8_t> bytes) {
    uint32_t table[256];
    for (uint32_t i = 0; i < 256; ++i) {
        table[i] = i;
        for (int bit = 0; bit < 8; ++bit) {
            table[i] = table[i] >> 1U ^ (table[i] % 2 != 0 ? 0xEDB88320U : 0U);
        }
    }
    uint32_t crc = ~0U;
    for (const uint8_t byte : bytes) crc = crc >> 8U ^ table[(crc ^ byte) & 255U];
    return ~crc;
}

Bytes png_file(uint32_t width, uint32_t height, uint8_t depth, uint8_t colour,
               const Bytes& compressed) {
    Bytes bytes = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
    Bytes header;
    append_number(header, width);
    append_number(header, height);
    header.insert(header.end(), {depth, colour, 0, 0, 0});
    append_chunk(bytes, "IHDR", header);
    append_chunk(bytes, "IDAT", compressed);
    append_chunk(bytes, "IEND", {});
    return bytes;
}

}  // namespace gemlet::image_test
