// The one thing we want from a camera's notes: which way it was held.
#pragma once

#include <cstdint>
#include <span>

namespace gemlet::image {

/// The orientation (1 to 8) in an EXIF block, which begins with a TIFF header, an "Exif" mark
/// before it or not. 1, upright, where the block says nothing or is broken: a picture with bad
/// notes is still one. Source: EXIF 2.32, section 4.6.4; TIFF 6.0, section 2.
unsigned exif_orientation(std::span<const uint8_t> block);

}  // namespace gemlet::image
