// Which kind of picture some bytes are. Names of files are not asked: they lie more often.
#pragma once

#include <cstdint>
#include <span>

namespace gemlet::image {

enum class PictureFormat : uint8_t { jpeg, png, webp, bmp, gif, netpbm, foreign, unknown };

struct FormatGuess {
    PictureFormat format = PictureFormat::unknown;
    const char* name = "";  // "TIFF", for messages; empty when unknown
};

/// Tells by the first bytes. `foreign` is a format that has a name but no reader here.
FormatGuess picture_format_of(std::span<const uint8_t> bytes);

}  // namespace gemlet::image
