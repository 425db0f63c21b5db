// Sizes follow from the config alone: the widest layer decides each buffer. Layers that share keys
// and values run for wanted rows only, so their double-wide feed-forward needs room for those rows.
#include "core/text/workspace.h"

#include <algorithm>

#include "core/text/attend.h"
#include "core/text/head.h"
#include "core/text/linear.h"

namespace gemlet {
namespace {

size_t widest_kv(const ModelConfig& config) {
    size_t widest = 0;
    for (const LayerConfig& layer : config.layers) {
        widest = std::max(widest, layer.n_kv_heads * layer.head_dim);
    }
    return widest;
}

/// Most floats of any [rows, ffn] buffer.
size_t ffn_floats(const ModelConfig& config, const WorkspaceShape& shape) {
    size_t most = 0;
    for (const LayerConfig& layer : config.layers) {
        const size_t rows = layer.owns_kv ? shape.max_rows : shape.max_wanted;
        most = std::max(most, rows * layer.ffn_width);
    }
    return most;
}

size_t largest_packed(const ModelConfig& config, const WorkspaceShape& shape) {
    const size_t rows = shape.max_rows;
    // Queries, keys and values may each want a form of their own.
    size_t most = LinearInput::kMaxForms * packed_activation_bytes(rows, config.d_model);
    for (const LayerConfig& layer : config.layers) {
        const size_t layer_rows = layer.owns_kv ? rows : shape.max_wanted;
        most = std::max({most, packed_activation_bytes(rows, config.n_heads * layer.head_dim),
                         packed_activation_bytes(layer_rows, layer.ffn_width)});
    }
    if (config.ple_width != 0) {
        most = std::max(most, packed_activation_bytes(rows, config.ple_width));
    }
    if (config.n_experts != 0) {
        const size_t pairs = rows * config.n_experts_used;
        most = std::max({most, packed_activation_bytes(pairs, config.d_model),
                         packed_activation_bytes(pairs, config.expert_width)});
    }
    return most;
}

size_t widest_row(const ModelConfig& config) {
    return std::max({config.d_model, config.max_ffn_width(), config.expert_width,
                     config.n_heads * config.max_head_dim()});
}

size_t scratch_per_worker(const ModelConfig& config) {
    const size_t widest = widest_row(config);
    const size_t product = std::max(matmul_block_scratch_bytes((widest + 255) / 256 * 256),
                                    (widest + 64) * sizeof(float));
    const size_t row = config.n_layers * config.ple_width * sizeof(float);
    const size_t two_rows = 2 * widest * sizeof(float);
    const size_t bytes =
        std::max({product, attend_scratch_bytes(config), row, two_rows, head_scratch_bytes()});
    return (bytes + kPlanAlign - 1) / kPlanAlign * kPlanAlign;
}

}  // namespace

void Workspace::plan(const ModelConfig& config, MemoryPlan& plan) {
    const size_t rows = shape.max_rows;
    const size_t d = config.d_model;
    const size_t q_width = config.n_heads * config.max_head_dim();
    plan.add("residual stream", &hidden, rows * d);
    plan.add("normed rows", &normed, rows * d);
    plan.add("branch outputs", &branch, rows * d);
    plan.add("queries", &q, rows * q_width);
    plan.add("attention outputs", &attended, rows * q_width);
    plan.add("attention factors", &together, attend_together_floats(config, shape.context));
    plan.add("new keys", &k, rows * widest_kv(config));
    plan.add("new values", &v, rows * widest_kv(config));
    plan.add("feed-forward gate", &gate, ffn_floats(config, shape));
    plan.add("feed-forward up", &up, ffn_floats(config, shape));
    if (config.ple_width != 0) {
        plan.add("per-layer inputs", &ple, rows * config.n_layers * config.ple_width);
        plan.add("per-layer gate", &ple_gate, rows * config.ple_width);
    }
    plan.add("rotation cosines", &cosine, rows * config.max_head_dim());
    plan.add("rotation sines", &sine, rows * config.max_head_dim());
    plan.add("logits", &logits, shape.max_wanted * config.vocab_size);
    plan.add("logit estimates", &estimates, head_estimate_bytes(config, shape.max_wanted));
    packed_bytes = largest_packed(config, shape);
    plan.add("quantised activations", &packed, packed_bytes);
    scratch_bytes = scratch_per_worker(config);
    row_floats = widest_row(config);
    plan.add("scratch of the workers", &scratch, shape.n_workers * scratch_bytes);
    if (config.n_experts != 0) {
        const size_t pairs = rows * config.n_experts_used;
        plan.add("expert outputs", &experts, rows * d);
        plan.add("router probabilities", &router, rows * config.n_experts);
        plan.add("expert inputs", &pair_input, pairs * d);
        plan.add("expert gates", &pair_gate, pairs * 2 * config.expert_width);
        plan.add("expert results", &pair_output, pairs * d);
        plan.add("expert gains", &pair_gain, pairs);
        plan.add("expert choices", &pair_expert, pairs);
        plan.add("expert order", &pair_at, pairs);
        plan.add("expert counts", &expert_first, config.n_experts + 1);
    }
}

Result<Workspace> Workspace::create(const ModelConfig& config, const WorkspaceShape& shape) {
    Workspace workspace;
    workspace.shape = shape;
    MemoryPlan plan;
    workspace.plan(config, plan);
    Result<Arena> arena = Arena::allocate(plan);
    GEMLET_TRY(arena);
    workspace.arena_ = std::move(*arena);
    return workspace;
}

}  // namespace gemlet
