// A picture in memory, as every file format becomes one: 8 bits per channel, upright, opaque.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace gemlet::image {

/// RGB, rows from top to bottom without padding.
struct Picture {
    size_t width = 0;             // pixels
    size_t height = 0;            // pixels
    std::vector<uint8_t> pixels;  // [height, width, 3]
};

/// What is refused from a file's header alone, before any memory is taken for its pixels.
struct PictureLimits {
    size_t max_pixels = 40'000'000;
    size_t max_side = 1'000'000;  // pixels
};

/// Turns RGBA pixels into RGB where they stand, laying each over white. Shrinks the vector to three
/// quarters. Source: vision.md 2.1, the usual 8-bit "alpha over opaque".
void lay_over_white(std::vector<uint8_t>& pixels);

/// Turns a picture the way its EXIF orientation (1 to 8) says; anything else leaves it as it is.
void turn_upright(Picture& picture, unsigned orientation);

}  // namespace gemlet::image
