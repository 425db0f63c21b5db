// The file formats, one library behind each but BMP and Netpbm, which need none. A reader
// checks the header against the limits first, and gives the pixels as they are stored; what they
// have in common is done by read_picture.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/status.h"
#include "frontends/image/picture.h"

namespace gemlet::image {

/// Pixels as stored: not yet upright, perhaps with transparency.
struct StoredPicture {
    size_t width = 0;
    size_t height = 0;
    size_t n_channels = 3;        // 3: RGB; 4: RGBA, not premultiplied
    std::vector<uint8_t> pixels;  // [height, width, n_channels]
    unsigned orientation = 1;     // EXIF
};

/// Each reads a whole file of its format. May throw std::bad_alloc. Threads: pure.
/// Errors: `corrupt` for bytes that end early or contradict their format, also where a reader
/// could have guessed; `unsupported` for kinds it has no use for, and for every file if gemlet was
/// built without the library; `bad_argument` beyond the limits.
Result<StoredPicture> read_jpeg(std::span<const uint8_t> bytes, const PictureLimits& limits);
Result<StoredPicture> read_png(std::span<const uint8_t> bytes, const PictureLimits& limits);
Result<StoredPicture> read_webp(std::span<const uint8_t> bytes, const PictureLimits& limits);
Result<StoredPicture> read_bmp(std::span<const uint8_t> bytes, const PictureLimits& limits);
Result<StoredPicture> read_gif(std::span<const uint8_t> bytes, const PictureLimits& limits);
Result<StoredPicture> read_netpbm(std::span<const uint8_t> bytes, const PictureLimits& limits);

/// The limits, for a reader that knows the size: neither side may be 0.
Status check_picture_size(uint64_t width, uint64_t height, const PictureLimits& limits,
                          const char* format);

}  // namespace gemlet::image
