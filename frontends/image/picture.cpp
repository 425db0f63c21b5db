// The two things that happen to pixels before they are scaled: transparency goes, and the picture
// is turned upright. Each orientation is a walk over the source from one corner in two fixed steps.
#include "frontends/image/picture.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace gemlet::image {
namespace {

constexpr size_t kChannels = 3;

// Where the upright picture's first pixel lies in the stored one, and how far (in pixels) the next
// in its row and in its column are.
struct Walk {
    ptrdiff_t start, step_x, step_y;
    bool swaps_sides;
};

Walk walk_of(unsigned orientation, ptrdiff_t width, ptrdiff_t height) {
    const ptrdiff_t right = width - 1;
    const ptrdiff_t bottom = (height - 1) * width;
    switch (orientation) {
        case 2:
            return {right, -1, width, false};
        case 3:
            return {bottom + right, -1, -width, false};
        case 4:
            return {bottom, 1, -width, false};
        case 5:
            return {0, width, 1, true};
        case 6:
            return {bottom, -width, 1, true};
        case 7:
            return {bottom + right, -width, -1, true};
        default:  // 8
            return {right, width, -1, true};
    }
}

}  // namespace

void lay_over_white(std::vector<uint8_t>& pixels) {
    const size_t n_pixels = pixels.size() / 4;
    const uint8_t* src = pixels.data();
    uint8_t* dst = pixels.data();
    for (size_t i = 0; i < n_pixels; ++i, src += 4, dst += kChannels) {
        const uint32_t alpha = src[3];
        for (size_t c = 0; c < kChannels; ++c) {
            const uint32_t t = 128U * (src[c] * alpha + 255U * (255U - alpha)) + 16384U;
            dst[c] = static_cast<uint8_t>((((t >> 8U) + t) >> 8U) >> 7U);
        }
    }
    pixels.resize(n_pixels * kChannels);
}

void turn_upright(Picture& picture, unsigned orientation) {
    if (orientation < 2 || orientation > 8 || picture.pixels.empty()) return;
    const Walk walk = walk_of(orientation, static_cast<ptrdiff_t>(picture.width),
                              static_cast<ptrdiff_t>(picture.height));
    const size_t width = walk.swaps_sides ? picture.height : picture.width;
    const size_t height = walk.swaps_sides ? picture.width : picture.height;
    std::vector<uint8_t> turned(picture.pixels.size());
    // In tiles, since one of the two sides is read or written across rows.
    constexpr size_t kTile = 32;
    for (size_t y0 = 0; y0 < height; y0 += kTile) {
        for (size_t x0 = 0; x0 < width; x0 += kTile) {
            for (size_t y = y0; y < std::min(y0 + kTile, height); ++y) {
                const ptrdiff_t row = walk.start + static_cast<ptrdiff_t>(y) * walk.step_y;
                for (size_t x = x0; x < std::min(x0 + kTile, width); ++x) {
                    const ptrdiff_t from = row + static_cast<ptrdiff_t>(x) * walk.step_x;
                    std::memcpy(turned.data() + (y * width + x) * kChannels,
                                picture.pixels.data() + from * ptrdiff_t{kChannels}, kChannels);
                }
            }
        }
    }
    picture = {width, height, std::move(turned)};
}

}  // namespace gemlet::image
