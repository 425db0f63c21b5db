// The forward pass of both vision designs.
#pragma once

#include <cstddef>

#include "core/tower/tower_linear.h"
#include "core/vision/patches.h"
#include "core/vision/vision_config.h"
#include "core/vision/vision_weights.h"
#include "core/vision/vision_workspace.h"

namespace gemlet {

/// What a run reads and never changes.
struct VisionModel {
    const VisionConfig& config;
    const VisionWeights& weights;
};

/// Runs the encoder over a picture that fits the workspace (checked by the caller) and writes its
/// soft tokens [n_soft, text_width]. workspace.pooled then holds the encoder's output before the
/// projector's norm, [n_soft, width]. Threads: one run at a time per workspace. Allocates nothing.
void encode_picture(const TowerCompute& compute, const VisionModel& model,
                    VisionWorkspace& workspace, const PatchGrid& picture, float* soft) noexcept;

/// Soft tokens of a picture.
inline size_t soft_tokens_of(const VisionConfig& config, const PatchGrid& picture) {
    return picture.rows / config.pooling * (picture.cols / config.pooling);
}

/// The two designs between input and projector: patches in workspace.normed become
/// workspace.pooled.
void run_transformer(const TowerCompute& compute, const VisionModel& model,
                     VisionWorkspace& workspace, const PatchGrid& picture) noexcept;
void run_embedder(const TowerCompute& compute, const VisionModel& model, VisionWorkspace& workspace,
                  const PatchGrid& picture) noexcept;

/// Adds the position vectors of each patch to rows [n, width].
void add_positions(const TowerCompute& compute, const VisionModel& model, const PatchGrid& picture,
                   float* rows) noexcept;

/// Scratch bytes a worker needs for the attention of the transformer.
size_t vision_attention_scratch_bytes(const VisionConfig& config);

}  // namespace gemlet
