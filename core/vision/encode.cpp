// What both designs share: patches in, positions, soft tokens out.
#include "core/vision/encode.h"

#include "quant/formats/dequantize.h"

namespace gemlet {
namespace {

/// Copies the patches, normalised, in the order of the patch weights' columns. The transformer sees
/// 2 x - 1.
void load_patches(const TowerCompute& compute, const VisionConfig& config, const PatchGrid& picture,
                  float* out) {
    const size_t dim = config.patch_dim();
    const size_t n_pixels = dim / 3;
    const bool centred = config.kind == VisionKind::transformer;
    tower_rows(compute, picture.n_patches(), [&](size_t row, size_t) {
        const float* from = picture.values.data() + row * dim;
        float* to = out + row * dim;
        for (size_t i = 0; i < n_pixels; ++i) {
            for (size_t channel = 0; channel < 3; ++channel) {
                float value =
                    (from[i * 3 + channel] - config.mean[channel]) / config.deviation[channel];
                if (centred) value = 2.0F * (value - 0.5F);
                to[config.planar ? channel * n_pixels + i : i * 3 + channel] = value;
            }
        }
    });
}

}  // namespace

void add_positions(const TowerCompute& compute, const VisionModel& model, const PatchGrid& picture,
                   float* rows) noexcept {
    const VisionWeights& weights = model.weights;
    const Matrix& table = weights.positions;
    const size_t width = model.config.width;
    tower_rows(compute, picture.n_patches(), [&](size_t row, size_t worker) {
        const PatchPosition at = picture.positions[row];
        auto* x = reinterpret_cast<float*>(compute.scratch_of(worker));
        float* y = x + width;
        const size_t x_row = weights.position_stride * static_cast<size_t>(at.x);
        const size_t y_row =
            weights.position_offset + weights.position_stride * static_cast<size_t>(at.y);
        dequantize_row(table.type, table.data + x_row * table.row_stride_bytes, width, x);
        dequantize_row(table.type, table.data + y_row * table.row_stride_bytes, width, y);
        float* out = rows + row * width;
        for (size_t i = 0; i < width; ++i) out[i] += x[i] + y[i];
    });
}

void encode_picture(const TowerCompute& compute, const VisionModel& model,
                    VisionWorkspace& workspace, const PatchGrid& picture, float* soft) noexcept {
    const VisionConfig& config = model.config;
    const size_t n_soft = soft_tokens_of(config, picture);
    load_patches(compute, config, picture, workspace.normed);  // [n_patches, patch_dim]
    if (config.kind == VisionKind::transformer) {
        run_transformer(compute, model, workspace, picture);  // pooled [n_soft, width]
    } else {
        run_embedder(compute, model, workspace, picture);  // pooled [n_soft, width]
    }
    tower_rows(compute, n_soft, [&](size_t row, size_t) {
        compute.kernels.vector->rms_norm(workspace.pooled + row * config.width, nullptr,
                                         workspace.normed + row * config.width, config.width,
                                         config.norm_eps);
    });
    tower_linear(compute, model.weights.projector, workspace.normed, soft,
                 n_soft);  // [n_soft, text_width]
}

}  // namespace gemlet
