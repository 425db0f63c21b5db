// Bytes of a picture file to pixels.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "core/status.h"
#include "frontends/image/picture.h"

namespace gemlet::image {

/// Reads a JPEG, PNG, WebP or binary Netpbm (PGM, PPM) file, of an animation the first frame:
/// 8 bits per channel, grey replicated, transparency laid over white, turned upright. The format
/// is told by the bytes. Threads: pure. The memory it takes is bounded by the limits.
/// Errors: those of the format's reader (format_readers.h); `unsupported` for other formats, with
/// their name; `corrupt` for no bytes at all; `out_of_memory`.
Result<Picture> read_picture(std::span<const uint8_t> bytes, const PictureLimits& limits = {});

/// The same for a file. Errors: also those of MappedFile::open.
Result<Picture> read_picture_file(const std::string& path, const PictureLimits& limits = {});

}  // namespace gemlet::image
