// Pictures and encoders for tests of the vision encoders.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/vision/vision_encoder.h"
#include "tests/golden/golden_data.h"
#include "tests/golden/run_model.h"

namespace gemlet::test {

/// A model with stored results for pictures.
struct VisionModelCase {
    const char* folder;  // of the results
    const char* model;   // below data/fixtures
    const char* mmproj;  // the same; empty: the encoder is in the model's own files
    bool unified;        // patches of 48 pixels
    bool wide_logits;    // GGUF cannot say that this model reads pictures causally
};

/// A whole grid of made-up patches: `n_rows` x `n_cols` soft tokens, values from a fixed seed.
PatchGrid made_up_picture(size_t patch_side, size_t pooling, size_t n_rows, size_t n_cols);

/// The stored picture KEY ("a_70"), as patches of 16 pixels.
PatchGrid stored_picture(const std::string& key);
/// The same pixels as patches three times as large.
PatchGrid merge_patches(const PatchGrid& picture);

/// Soft tokens and the encoder's output before the projector.
struct Encoded {
    std::vector<float> soft;
    std::vector<float> encoded;
};
/// Encodes; fails the test when that goes wrong.
Encoded encode(VisionEncoder& encoder, const PatchGrid& picture);

/// Opens the encoder of an engine; null, with a failed test, when that goes wrong.
std::unique_ptr<VisionEncoder> open_encoder(Engine& engine, const std::string& mmproj,
                                            const VisionOptions& options = {});

double largest_difference(std::span<const float> a, std::span<const float> b);
/// Root of the mean squared difference over that of the reference.
double relative_rms(std::span<const float> got, std::span<const float> reference);

}  // namespace gemlet::test
