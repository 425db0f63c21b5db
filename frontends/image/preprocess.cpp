// Scaling, then cutting: pixel rows of a patch lie together in the picture, so each is one copy
// that changes bytes to floats.
#include "frontends/image/preprocess.h"

#include "core/guard.h"
#include "frontends/image/picture_reader.h"

namespace gemlet::image {
namespace {

constexpr float kByteStep = static_cast<float>(1.0 / 255.0);

PatchGrid cut(const Picture& picture, size_t side) {
    PatchGrid grid;
    grid.patch_side = side;
    grid.rows = picture.height / side;
    grid.cols = picture.width / side;
    grid.n_soft_tokens = (picture.height / kTokenSide) * (picture.width / kTokenSide);
    grid.positions.reserve(grid.n_patches());
    grid.values.resize(grid.n_patches() * grid.patch_dim());
    float* out = grid.values.data();
    const size_t row_bytes = picture.width * 3;
    const size_t piece_bytes = side * 3;
    for (size_t y = 0; y < grid.rows; ++y) {
        for (size_t x = 0; x < grid.cols; ++x) {
            grid.positions.push_back({static_cast<int32_t>(x), static_cast<int32_t>(y)});
            for (size_t py = 0; py < side; ++py, out += piece_bytes) {
                const uint8_t* piece =
                    picture.pixels.data() + (y * side + py) * row_bytes + x * piece_bytes;
                for (size_t i = 0; i < piece_bytes; ++i) {
                    out[i] = static_cast<float>(piece[i]) * kByteStep;
                }
            }
        }
    }
    return grid;
}

}  // namespace

Result<PatchGrid> patches_of(const Picture& picture, size_t budget, size_t patch_side) {
    return guard([&]() -> Result<PatchGrid> {
        if (patch_side == 0 || kTokenSide % patch_side != 0) {
            return Status(StatusCode::bad_argument, "patches of this side do not make soft tokens",
                          "patch side", static_cast<int64_t>(patch_side));
        }
        const Result<PictureSize> size = target_size({picture.width, picture.height}, budget);
        GEMLET_TRY(size);
        return cut(resize(picture, *size), patch_side);
    });
}

Result<PatchGrid> patches_of_file(std::span<const uint8_t> bytes, size_t budget, size_t patch_side,
                                  const PictureLimits& limits) {
    const Result<Picture> picture = read_picture(bytes, limits);
    GEMLET_TRY(picture);
    return patches_of(*picture, budget, patch_side);
}

}  // namespace gemlet::image
