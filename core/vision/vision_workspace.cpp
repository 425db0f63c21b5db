// Sizes follow from the configuration and the largest picture planned for: the text rows of the
// widest stage decide each buffer.
#include "core/vision/vision_workspace.h"

#include <algorithm>

#include "core/tower/tower_linear.h"
#include "core/vision/encode.h"

namespace gemlet {

void VisionWorkspace::plan(const VisionConfig& config, const VisionShape& shape,
                           const Kernels& kernels, MemoryPlan& plan) {
    const size_t width = config.width;
    const size_t dim = config.patch_dim();
    max_soft = shape.max_soft;
    max_patches = max_soft * config.pooling * config.pooling;
    max_side = max_soft * config.pooling;
    const size_t n = max_patches;
    plan.add("vision: residual stream", &hidden, n * width);
    plan.add("vision: inputs", &normed, n * std::max(width, dim));
    size_t most_packed = tower_packed_bytes(kernels, n, std::max(width, dim));
    size_t widest = std::max({width, dim});
    scratch_bytes = 2 * width * sizeof(float);
    if (config.kind == VisionKind::transformer) {
        const size_t head = config.padded_head_dim();
        const size_t ffn_rows = std::min(n, kVisionFfnRows);
        plan.add("vision: branch", &branch, n * std::max(width, config.kv_width()));
        plan.add("vision: attention output", &attended, n * config.q_width());
        plan.add("vision: feed-forward", &wide,
                 std::max(n * config.kv_width(), 2 * ffn_rows * config.ffn_width));
        plan.add("vision: queries", &q, n * config.n_heads * head);
        plan.add("vision: keys", &k, n * config.n_kv_heads * head);
        plan.add("vision: values", &v, n * config.n_kv_heads * head);
        plan.add("vision: rotation", &cosine, max_side * (config.head_dim / 4));
        plan.add("vision: rotation", &sine, max_side * (config.head_dim / 4));
        most_packed = std::max({most_packed, tower_packed_bytes(kernels, n, config.q_width()),
                                tower_packed_bytes(kernels, ffn_rows, config.ffn_width)});
        widest = std::max({widest, config.q_width(), config.ffn_width});
        scratch_bytes = std::max(scratch_bytes, vision_attention_scratch_bytes(config));
    }
    plan.add("vision: pooled", &pooled, max_soft * width);
    plan.add("vision: packed inputs", &packed, most_packed);
    scratch_bytes = std::max(scratch_bytes, tower_scratch_bytes(kernels, widest));
    scratch_bytes = (scratch_bytes + kPlanAlign - 1) / kPlanAlign * kPlanAlign;
    plan.add("vision: scratch of the workers", &scratch, shape.n_workers * scratch_bytes);
}

}  // namespace gemlet
