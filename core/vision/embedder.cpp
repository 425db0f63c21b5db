// The encoder-free design: one dense layer per patch of 48 pixels, between layer norms.
// Source: Gemma4UnifiedVisionEmbedder of the reference implementation.
#include <cmath>

#include "core/vision/encode.h"

namespace gemlet {
namespace {

constexpr double kLayerNormEps = 1e-5;

/// The ordinary one, with mean and population variance, sums in double.
void layer_norm(const float* x, const LayerNormWeights& norm, float* out, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]);
    const double mean = sum / static_cast<double>(n);
    double squares = 0;
    for (size_t i = 0; i < n; ++i) {
        const double distance = static_cast<double>(x[i]) - mean;
        squares += distance * distance;
    }
    const double inverse = 1.0 / std::sqrt(squares / static_cast<double>(n) + kLayerNormEps);
    const auto centre = static_cast<float>(mean);
    const auto factor = static_cast<float>(inverse);
    for (size_t i = 0; i < n; ++i) {
        out[i] = (x[i] - centre) * factor * norm.weight[i] + norm.bias[i];
    }
}

}  // namespace

void run_embedder(const TowerCompute& compute, const VisionModel& model, VisionWorkspace& workspace,
                  const PatchGrid& picture) noexcept {
    const VisionConfig& config = model.config;
    const VisionWeights& weights = model.weights;
    const size_t n = picture.n_patches();
    const size_t width = config.width;
    const size_t dim = config.patch_dim();
    tower_rows(compute, n, [&](size_t row, size_t) {
        float* patch = workspace.normed + row * dim;
        layer_norm(patch, weights.norm_patch, patch, dim);
    });
    tower_linear(compute, weights.patch, workspace.normed, workspace.hidden, n);  // [n, width]
    tower_rows(compute, n, [&](size_t row, size_t) {
        float* hidden = workspace.hidden + row * width;
        for (size_t i = 0; i < width; ++i) hidden[i] += weights.patch_bias[i];
        layer_norm(hidden, weights.norm_dense, hidden, width);
    });
    add_positions(compute, model, picture, workspace.hidden);
    tower_rows(compute, n, [&](size_t row, size_t) {
        layer_norm(workspace.hidden + row * width, weights.norm_positions,
                   workspace.pooled + row * width, width);
    });
}

}  // namespace gemlet
