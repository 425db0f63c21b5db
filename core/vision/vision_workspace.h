// Buffers of one encoder run: planned for the largest picture, taken once.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/memory/plan.h"
#include "core/vision/vision_config.h"
#include "kernels/kernels.h"

namespace gemlet {

/// Largest picture a workspace can take.
struct VisionShape {
    size_t max_soft = 280;  // soft tokens
    size_t n_workers = 1;
};

/// Rows of the feed-forward network computed at once: its inner width is several times that of the
/// residual stream. A multiple of every kernel's tile.
constexpr size_t kVisionFfnRows = 480;

/// Activations. Row-major; P = patches of the largest picture, S = its soft tokens, W = width.
struct VisionWorkspace {
    float* hidden = nullptr;  // [P, W] residual stream
    float* normed =
        nullptr;  // [P, max(W, patch_dim)] inputs of the next products; patches at first
    float* branch = nullptr;    // [P, max(W, kv_width)] output of a branch before its norm
    float* attended = nullptr;  // [P, q_width]
    float* wide = nullptr;      // values [P, kv_width]; then gate and up [kVisionFfnRows, ffn] each
    float* q = nullptr;         // [heads, P, padded_head_dim]
    float* k = nullptr;         // [kv_heads, P, padded_head_dim]
    float* v = nullptr;         // [kv_heads, P, padded_head_dim]
    float* cosine = nullptr;    // [largest coordinate, head_dim / 4]
    float* sine = nullptr;
    float* pooled = nullptr;     // [S, W]
    uint8_t* packed = nullptr;   // packed inputs of the product being computed
    uint8_t* scratch = nullptr;  // [n_workers, scratch_bytes]
    size_t scratch_bytes = 0;
    size_t max_patches = 0;
    size_t max_soft = 0;
    size_t max_side = 0;  // patches

    /// Adds the buffers to a plan.
    void plan(const VisionConfig& config, const VisionShape& shape, const Kernels& kernels,
              MemoryPlan& plan);
};

}  // namespace gemlet
