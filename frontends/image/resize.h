// The size at which the model sees a picture, and the scaling to it, to the bit as the reference
// does both.
#pragma once

#include <array>
#include <cstddef>

#include "core/status.h"
#include "frontends/image/picture.h"

namespace gemlet::image {

/// Soft tokens that a picture may take at most.
inline constexpr std::array<size_t, 5> kBudgets = {70, 140, 280, 560, 1120};
inline constexpr size_t kPictureBudget = 280;  // unless something else is asked for
inline constexpr size_t kFrameBudget = 70;     // of a video

/// Pixels along a side of what becomes one soft token.
inline constexpr size_t kTokenSide = 48;

struct PictureSize {
    size_t width = 0;
    size_t height = 0;
    friend bool operator==(const PictureSize&, const PictureSize&) = default;
};

/// Returns the largest size of about the same shape, both sides multiples of 48, that fits the
/// budget. Small pictures grow. Errors: `bad_argument` for a budget that is not one of kBudgets and
/// for empty pictures. Source: vision.md 2.2.
Result<PictureSize> target_size(PictureSize size, size_t budget);

/// Scales by cubic convolution (a = -0.5) that averages when it reduces, in the fixed-point
/// arithmetic of torchvision on bytes, rows first. May throw std::bad_alloc. Neither side of `size`
/// nor of the picture is 0. Source: vision.md 2.3, kernel "i16".
Picture resize(const Picture& picture, PictureSize size);

}  // namespace gemlet::image
