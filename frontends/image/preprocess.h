// A picture to what a vision encoder takes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/status.h"
#include "core/vision/patches.h"
#include "frontends/image/picture.h"
#include "frontends/image/resize.h"

namespace gemlet::image {

/// How a model cuts pictures.
inline constexpr size_t kEncoderPatchSide = 16;   // transformer encoders: nine patches a soft token
inline constexpr size_t kEmbedderPatchSide = 48;  // the encoder-free 12B: one

/// Scales a picture to the budget and cuts it into patches. Values are byte / 255.
/// Errors: those of target_size; `bad_argument` for a side of patches that does not divide 48;
/// `out_of_memory`. Threads: pure. Source: vision.md 2.
Result<PatchGrid> patches_of(const Picture& picture, size_t budget = kPictureBudget,
                             size_t patch_side = kEncoderPatchSide);

/// read_picture, then patches_of. Errors: those of both.
Result<PatchGrid> patches_of_file(std::span<const uint8_t> bytes, size_t budget = kPictureBudget,
                                  size_t patch_side = kEncoderPatchSide,
                                  const PictureLimits& limits = {});

}  // namespace gemlet::image
