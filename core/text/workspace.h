// Buffers of one forward step: planned for the largest step, taken once, used by every layer in
// turn.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/memory/plan.h"
#include "core/model/config.h"
#include "core/model/weights.h"
#include "core/status.h"
#include "kernels/kernels.h"

namespace gemlet {

/// Largest step a workspace can run.
struct WorkspaceShape {
    size_t max_rows = 1;    // prompt rows of one step
    size_t max_wanted = 1;  // rows whose logits are wanted
    size_t n_workers = 1;
    size_t context = 1;              // positions
    bool float_activations = false;  // block formats multiplied in float
};

/// Activations. Row-major; R = max_rows, W = max_wanted, widths from the config.
struct Workspace {
    WorkspaceShape shape;
    float* hidden = nullptr;    // [R, d] residual stream
    float* normed = nullptr;    // [R, d] rows for embeddings and experts, normed
    float* branch = nullptr;    // [R, d] output of a branch before its norm
    float* experts = nullptr;   // [R, d] output of the experts
    float* q = nullptr;         // [R, heads * head_dim] as the product left them
    float* attended = nullptr;  // [R, heads * head_dim] queries ready to attend, then the result
    float* k = nullptr;         // [R, kv_heads * head_dim]
    float* v = nullptr;         // [R, kv_heads * head_dim]
    float* gate = nullptr;      // [R, ffn] (rows times the layer's width)
    float* up = nullptr;        // [R, ffn]
    float* ple = nullptr;       // [R, layers * ple]
    float* ple_gate = nullptr;  // [R, ple]
    float* cosine = nullptr;    // [2, R, head_dim / 2] local, then global
    float* sine = nullptr;
    float* logits = nullptr;       // [W, vocab]
    uint8_t* estimates = nullptr;  // of logits: what core/text/head.cpp keeps
    uint8_t* packed = nullptr;     // quantised activations of the product being computed
    float* together = nullptr;     // what workers share who attend for one row together
    uint8_t* scratch = nullptr;    // [n_workers, scratch_bytes]
    size_t scratch_bytes = 0;
    size_t row_floats = 0;  // of the widest row
    size_t packed_bytes = 0;
    // Mixture of experts; a pair is a row and one of its experts, sorted by expert.
    float* router = nullptr;          // [R, experts] probabilities
    float* pair_input = nullptr;      // [R * used, d]
    float* pair_gate = nullptr;       // [R * used, 2 * width]
    float* pair_output = nullptr;     // [R * used, d]
    float* pair_gain = nullptr;       // [R, used]
    int32_t* pair_expert = nullptr;   // [R, used] in order of falling probability
    int32_t* pair_at = nullptr;       // [R, used] place of the pair in the sorted order
    int32_t* expert_first = nullptr;  // [experts + 1]

    /// Plans and takes the memory. Errors: `out_of_memory`.
    static Result<Workspace> create(const ModelConfig& config, const WorkspaceShape& shape);
    /// Adds this workspace's rows to a plan (for printing it as well).
    void plan(const ModelConfig& config, MemoryPlan& plan);

    uint8_t* scratch_of(size_t worker) const { return scratch + worker * scratch_bytes; }
    /// A worker's scratch as one row of the widest kind, for work between products.
    float* row_scratch(size_t worker) const { return reinterpret_cast<float*>(scratch_of(worker)); }
    /// A second such row.
    float* row_room(size_t worker) const { return row_scratch(worker) + row_floats; }

  private:
    Arena arena_;
};

}  // namespace gemlet
