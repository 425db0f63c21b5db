// What the targets of the picture readers have in common: whatever is read has the size it says,
// within the limits. Those are small here, so that an input takes no time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "frontends/image/formats/format_readers.h"

namespace gemlet::fuzz {

using PictureReader = Result<image::StoredPicture> (*)(std::span<const uint8_t>,
                                                       const image::PictureLimits&);

inline void read_any(PictureReader read, const uint8_t* data, size_t size) {
    const image::PictureLimits limits = {.max_pixels = 1U << 16U, .max_side = 4096};
    const auto picture = read({data, size}, limits);
    if (!picture) {
        if (*picture.error().text() == '\0') __builtin_trap();
        return;
    }
    const size_t n_pixels = picture->width * picture->height;
    const bool sound = n_pixels > 0 && n_pixels <= limits.max_pixels &&
                       picture->pixels.size() == n_pixels * picture->n_channels &&
                       picture->orientation >= 1 && picture->orientation <= 8;
    if (!sound) __builtin_trap();
}

}  // namespace gemlet::fuzz
