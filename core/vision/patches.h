// What a picture is to the vision encoders: pixels cut into square patches. Pictures are read and
// scaled elsewhere; this is all that the encoders ever see of one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace gemlet {

/// Where a patch lies, in patches from the upper left corner.
struct PatchPosition {
    int32_t x = 0;
    int32_t y = 0;
    friend bool operator==(const PatchPosition&, const PatchPosition&) = default;
};

/// One picture, or one frame of a video, at the size the model sees. Patches are in row-major order
/// (index = y * cols + x); inside a patch the values go by pixel row, pixel column and channel:
/// element (py * patch_side + px) * 3 + c. Nothing is padded.
/// Transformer encoders take patches of 16 pixels, whose rows and cols are multiples of 3; the
/// encoder-free embedder of 12B takes patches of 48 pixels, one for each soft token.
/// Source: vision preprocessing of the reference (Gemma4ImageProcessor).
struct PatchGrid {
    std::vector<float> values;             // [n_patches, patch_dim], each in [0, 1]
    std::vector<PatchPosition> positions;  // [n_patches]
    size_t patch_side = 0;                 // pixels
    size_t rows = 0;
    size_t cols = 0;
    size_t n_soft_tokens = 0;

    size_t n_patches() const { return rows * cols; }
    size_t patch_dim() const { return patch_side * patch_side * 3; }
};

}  // namespace gemlet
