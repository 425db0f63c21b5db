// The list of tensors of every architecture, bound in the order of the forward pass.
#include "core/model/weights.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/model/binder.h"

namespace gemlet {
namespace {

// Published QAT files store the KV scales of global layers for a 4-bit cache: 16 times those of the
// int8 cache. V has unit RMS, so a scale above this bound leaves five codes or so (qat notes in the
// room's README).
constexpr float kLargestInt8ValueScale = 0.25F;
constexpr float kFourBitStep = 16.0F;

std::string layer_name(size_t layer, const char* rest) {
    return "layers." + std::to_string(layer) + "." + rest;
}

/// Prefixes names with one layer's number.
class LayerBinder {
  public:
    LayerBinder(Binder& binder, size_t layer) : binder_(binder), layer_(layer) {}

    Matrix linear(const char* module, size_t n_rows, size_t n_cols) {
        return binder_.linear(layer_name(layer_, module), n_rows, n_cols);
    }
    const float* vector(const char* name, size_t n) {
        return binder_.vector(layer_name(layer_, name), n);
    }
    float scalar(const char* name, float missing) {
        return binder_.scalar(layer_name(layer_, name), missing);
    }
    float positive_scalar(const char* name, float missing) {
        return binder_.positive_scalar(layer_name(layer_, name), missing);
    }
    Matrix stack(const char* name, size_t n_experts, size_t n_rows, size_t n_cols) {
        return binder_.stack(layer_name(layer_, name), n_experts, n_rows, n_cols);
    }
    bool has(const char* name) const { return binder_.has(layer_name(layer_, name)); }

  private:
    Binder& binder_;
    size_t layer_;
};

void bind_attention(LayerBinder& in, const ModelConfig& config, const LayerConfig& shape,
                    LayerWeights& out) {
    const size_t d = config.d_model;
    const size_t q_width = config.n_heads * shape.head_dim;
    const size_t kv_width = shape.n_kv_heads * shape.head_dim;
    out.input_norm = in.vector("input_layernorm.weight", d);
    out.q_norm = in.vector("self_attn.q_norm.weight", shape.head_dim);
    out.o = in.linear("self_attn.o_proj", d, q_width);
    out.post_attention_norm = in.vector("post_attention_layernorm.weight", d);
    if (in.has("self_attn.qkv_proj.weight")) {
        const Matrix fused = in.linear("self_attn.qkv_proj", q_width + 2 * kv_width, d);
        if (!fused.present()) return;
        out.q = fused.rows(0, q_width);
        out.k = fused.rows(q_width, kv_width);
        out.v = fused.rows(q_width + kv_width, kv_width);
    } else {
        out.q = in.linear("self_attn.q_proj", q_width, d);
    }
    if (!shape.owns_kv)
        return;  // such layers may carry dead key and value projections: never bound
    out.k_norm = in.vector("self_attn.k_norm.weight", shape.head_dim);
    if (out.k.present()) return;
    out.k = in.linear("self_attn.k_proj", kv_width, d);
    if (!shape.k_equals_v) out.v = in.linear("self_attn.v_proj", kv_width, d);
}

void bind_ffn(LayerBinder& in, const ModelConfig& config, const LayerConfig& shape,
              LayerWeights& out) {
    const size_t d = config.d_model;
    out.pre_ffn_norm = in.vector("pre_feedforward_layernorm.weight", d);
    out.gate = in.linear("mlp.gate_proj", shape.ffn_width, d);
    out.up = in.linear("mlp.up_proj", shape.ffn_width, d);
    out.down = in.linear("mlp.down_proj", d, shape.ffn_width);
    out.post_ffn_norm = in.vector("post_feedforward_layernorm.weight", d);
}

void bind_experts(LayerBinder& in, const ModelConfig& config, LayerWeights& out) {
    const size_t d = config.d_model;
    const size_t n = config.n_experts;
    const size_t width = config.expert_width;
    out.router = in.linear("router.proj", n, d);
    out.router_scale = in.vector("router.scale", d);
    out.expert_scale = in.vector("router.per_expert_scale", n);
    out.pre_expert_norm = in.vector("pre_feedforward_layernorm_2.weight", d);
    out.post_dense_norm = in.vector("post_feedforward_layernorm_1.weight", d);
    out.post_expert_norm = in.vector("post_feedforward_layernorm_2.weight", d);
    out.experts_fused = in.has("experts.gate_up_proj") || !in.has("experts.gate_proj");
    if (out.experts_fused) {
        out.expert_gate = in.stack("experts.gate_up_proj", n, 2 * width, d);
    } else {
        out.expert_gate = in.stack("experts.gate_proj", n, width, d);
        out.expert_up = in.stack("experts.up_proj", n, width, d);
    }
    out.expert_down = in.stack("experts.down_proj", n, d, width);
}

/// Static scales of the int8 cache, by the rule for files that store 4-bit steps.
void bind_kv_scales(LayerBinder& in, const LayerConfig& shape, LayerWeights& out,
                    TextWeights& weights) {
    out.k_cache_scale = in.positive_scalar("self_attn.k_cache_scale", 0);
    out.v_cache_scale = in.positive_scalar("self_attn.v_cache_scale", 0);
    if (shape.is_global && out.v_cache_scale > kLargestInt8ValueScale) {
        out.k_cache_scale /= kFourBitStep;
        out.v_cache_scale /= kFourBitStep;
        weights.kv_scales_divided = true;
    }
}

void bind_layer(Binder& binder, const ModelConfig& config, size_t layer, TextWeights& weights) {
    LayerBinder in(binder, layer);
    const LayerConfig& shape = config.layers[layer];
    LayerWeights& out = weights.layers[layer];
    bind_attention(in, config, shape, out);
    bind_ffn(in, config, shape, out);
    if (config.n_experts != 0) bind_experts(in, config, out);
    if (config.ple_width != 0) {
        out.ple_gate = in.linear("per_layer_input_gate", config.ple_width, config.d_model);
        out.ple_projection = in.linear("per_layer_projection", config.d_model, config.ple_width);
        out.post_ple_norm = in.vector("post_per_layer_input_norm.weight", config.d_model);
    }
    out.layer_scalar = in.scalar("layer_scalar", 1.0F);
    if (config.is_qat && shape.owns_kv) bind_kv_scales(in, shape, out, weights);
}

bool same_bytes(const uint8_t* a, const uint8_t* b, size_t n) {
    return a == b || std::memcmp(a, b, n) == 0;
}

/// The head: a matrix of its own, or the embedding table. Published QAT files store the table
/// twice; rows are then gathered from the head, which is in memory anyway.
void bind_head(Binder& binder, const ModelConfig& config, TextWeights& weights) {
    constexpr size_t kSample = size_t{1} << 18U;
    EmbeddingTable& table = weights.embedding;
    if (!binder.has("lm_head.weight")) {
        weights.head = table.rows;
        weights.head.row_scale = table.block_scale;
        if (table.n_blocks != 1) {
            binder.fail(
                {StatusCode::unsupported, "a tied head needs one scale per row", "embed_tokens"});
        }
        binder.count_always(table.rows.bytes());
        return;
    }
    weights.head = binder.linear("lm_head", config.vocab_size, config.d_model);
    if (!weights.head.present() || !table.rows.present()) return;
    const bool same_layout = weights.head.type == table.rows.type && table.n_blocks == 1 &&
                             (weights.head.row_scale == nullptr) == (table.block_scale == nullptr);
    const size_t sample = std::min(kSample, table.rows.bytes());
    if (same_layout && same_bytes(weights.head.data, table.rows.data, sample) &&
        (table.block_scale == nullptr || same_bytes(weights.head.row_scale, table.block_scale,
                                                    config.vocab_size * sizeof(float)))) {
        table.rows = weights.head;
    } else {
        binder.count_looked_up(table.rows.bytes());
    }
}

void bind_model(Binder& binder, const ModelConfig& config, TextWeights& weights) {
    const size_t d = config.d_model;
    const size_t ple_cols = config.n_layers * config.ple_width;
    weights.embedding =
        binder.table("embed_tokens", config.vocab_size, d, std::sqrt(static_cast<float>(d)));
    if (config.ple_width != 0) {
        weights.ple = binder.table("embed_tokens_per_layer", config.vocab_size, ple_cols,
                                   std::sqrt(static_cast<float>(config.ple_width)));
        binder.count_looked_up(weights.ple.rows.bytes());
        weights.ple_context = binder.linear("per_layer_model_projection", ple_cols, d);
        weights.ple_norm = binder.vector("per_layer_projection_norm.weight", config.ple_width);
    }
    for (size_t i = 0; i < config.n_layers; ++i) {
        bind_layer(binder, config, i, weights);
        if (!binder.status().ok()) return;
    }
    weights.final_norm = binder.vector("norm.weight", d);
    bind_head(binder, config, weights);
}

}  // namespace

Matrix Matrix::rows(size_t first, size_t count) const {
    Matrix part = *this;
    part.data += first * row_stride_bytes;
    part.n_rows = count;
    if (row_scale != nullptr) part.row_scale += first * sizeof(float);
    return part;
}

Result<TextWeights> bind_text_weights(const Checkpoint& checkpoint, const ModelConfig& config,
                                      std::string* fault_file) {
    TextWeights weights;
    weights.layers.resize(config.n_layers);
    Binder binder(checkpoint, weights);
    bind_model(binder, config, weights);
    if (fault_file != nullptr && !binder.fault_file().empty()) *fault_file = binder.fault_file();
    GEMLET_TRY(binder.status());
    return weights;
}

}  // namespace gemlet
