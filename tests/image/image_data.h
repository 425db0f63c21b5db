// The pictures of tests/data/image and what else the tests of pictures share.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/status.h"
#include "frontends/image/picture.h"

namespace gemlet::image_test {

using Bytes = std::vector<uint8_t>;

/// The file's bytes; a failed expectation and nothing where it cannot be read.
Bytes read_file(const std::string& path);

/// Names of the pictures that were saved with their pixels, those which this build can read.
std::vector<std::string> picture_names();
std::string path_of(const std::string& name);

/// The pixels saved beside a picture.
image::Picture expected_pixels(const std::string& name);

/// A picture of bytes that follow a formula (make_pictures.py knows it too).
image::Picture formula_picture(size_t width, size_t height);

uint32_t crc32(std::span<const uint8_t> bytes);

/// A PNG file of grey or RGB rows whose header says what it is told to, with right checksums.
/// `compressed` is the zlib stream.
Bytes png_file(uint32_t width, uint32_t height, uint8_t depth, uint8_t colour,
               const Bytes& compressed);

}  // namespace gemlet::image_test
