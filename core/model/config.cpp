// Checks that hold for every checkpoint: sizes within limits that keep products of shapes far from
// overflow, heads that divide, a donor for every layer without keys and values of its own.
#include "core/model/config.h"

#include <algorithm>
#include <cmath>

#include "core/model/config_checks.h"

namespace gemlet {
namespace {

// Ten times the largest release; products of three such numbers stay below 2^63.
constexpr size_t kMaxLayers = 1024;
constexpr size_t kMaxWidth = 1U << 18U;
constexpr size_t kMaxVocab = 1U << 22U;
constexpr size_t kMaxContext = 1U << 24U;

Status out_of_range(const char* key, size_t value) {
    return {StatusCode::corrupt, "hyper-parameter out of range", key, static_cast<int64_t>(value)};
}

Status check_size(const char* key, size_t value, size_t low, size_t high) {
    if (value < low || value > high) return out_of_range(key, value);
    return {};
}

Status check_positive(const char* key, float value, float high) {
    if (!std::isfinite(value) || value <= 0 || value > high) {
        return {StatusCode::corrupt, "hyper-parameter is not a positive finite number", key};
    }
    return {};
}

Status check_layer(const ModelConfig& config, const LayerConfig& layer, size_t index) {
    GEMLET_TRY(check_size("head_dim", layer.head_dim, 16, 4096));
    GEMLET_TRY(check_size("num_key_value_heads", layer.n_kv_heads, 1, config.n_heads));
    GEMLET_TRY(check_size("intermediate_size", layer.ffn_width, 1, kMaxWidth));
    if (layer.head_dim % 16 != 0) {
        return {StatusCode::unsupported, "head size is not a multiple of 16", "head_dim",
                static_cast<int64_t>(layer.head_dim)};
    }
    if (config.n_heads % layer.n_kv_heads != 0) {
        return {StatusCode::corrupt, "KV heads do not divide the query heads",
                "num_key_value_heads", static_cast<int64_t>(index)};
    }
    return {};
}

/// Gives a layer without keys and values the last owning layer of its own kind.
Status find_donor(ModelConfig& config, size_t index) {
    LayerConfig& layer = config.layers[index];
    layer.owns_kv = index < config.n_owning_layers;
    layer.kv_donor = index;
    if (layer.owns_kv) return {};
    for (size_t donor = config.n_owning_layers; donor-- > 0;) {
        const LayerConfig& candidate = config.layers[donor];
        if (candidate.is_global != layer.is_global) continue;
        if (candidate.head_dim != layer.head_dim || candidate.n_kv_heads != layer.n_kv_heads) break;
        layer.kv_donor = donor;
        return {};
    }
    return {StatusCode::corrupt, "no layer of the same shape whose keys and values can be shared",
            "num_kv_shared_layers", static_cast<int64_t>(index)};
}

}  // namespace

Status finish_config(ModelConfig& config) {
    GEMLET_TRY(check_size("num_hidden_layers", config.n_layers, 1, kMaxLayers));
    GEMLET_TRY(check_size("hidden_size", config.d_model, 16, kMaxWidth));
    GEMLET_TRY(check_size("num_attention_heads", config.n_heads, 1, 1024));
    GEMLET_TRY(check_size("vocab_size", config.vocab_size, 1, kMaxVocab));
    // A row of the per-layer table stands for pictures and sounds.
    GEMLET_TRY(
        check_size("pad_token_id", static_cast<size_t>(config.pad_id), 0, config.vocab_size - 1));
    GEMLET_TRY(check_size("hidden_size_per_layer_input", config.ple_width, 0, 4096));
    GEMLET_TRY(check_size("sliding_window", config.window, 1, kMaxContext));
    GEMLET_TRY(check_size("max_position_embeddings", config.context_length, 1, kMaxContext));
    GEMLET_TRY(check_size("num_kv_shared_layers", config.n_owning_layers, 1, config.n_layers));
    GEMLET_TRY(check_positive("rms_norm_eps", config.norm_eps, 1e-2F));
    GEMLET_TRY(check_positive("rope_theta", config.rope_theta_local, 1e12F));
    GEMLET_TRY(check_positive("rope_theta", config.rope_theta_global, 1e12F));
    GEMLET_TRY(check_positive("partial_rotary_factor", config.rope_fraction_global, 1.0F));
    GEMLET_TRY(check_positive("rope factor", config.rope_factor_global, 1e6F));
    if (config.soft_cap != 0) {
        GEMLET_TRY(check_positive("final_logit_softcapping", config.soft_cap, 1e6F));
    }
    if (config.n_experts != 0) {
        GEMLET_TRY(check_size("num_experts", config.n_experts, 1, 4096));
        GEMLET_TRY(check_size("top_k_experts", config.n_experts_used, 1,
                              std::min<size_t>(config.n_experts, 64)));
        GEMLET_TRY(check_size("moe_intermediate_size", config.expert_width, 1, kMaxWidth));
    }
    for (size_t i = 0; i < config.n_layers; ++i) {
        GEMLET_TRY(check_layer(config, config.layers[i], i));
        GEMLET_TRY(find_donor(config, i));
    }
    return {};
}

size_t ModelConfig::max_head_dim() const {
    size_t widest = 0;
    for (const LayerConfig& layer : layers) widest = std::max(widest, layer.head_dim);
    return widest;
}

size_t ModelConfig::max_ffn_width() const {
    size_t widest = 0;
    for (const LayerConfig& layer : layers) widest = std::max(widest, layer.ffn_width);
    return widest;
}

namespace {

size_t layer_multiplications(const ModelConfig& config, size_t index) {
    const LayerConfig& layer = config.layers[index];
    const size_t d = config.d_model;
    size_t total = 2 * d * config.n_heads * layer.head_dim + 3 * d * layer.ffn_width;
    if (layer.owns_kv) total += (layer.k_equals_v ? 1 : 2) * d * layer.n_kv_heads * layer.head_dim;
    total += 3 * d * config.ple_width;  // gate, projection and this layer's share of the context
    total += config.n_experts * d + config.n_experts_used * 3 * d * config.expert_width;
    return total;
}

}  // namespace

size_t ModelConfig::prefill_multiplications() const {
    size_t total = 0;
    for (size_t i = 0; i < n_owning_layers; ++i) total += layer_multiplications(*this, i);
    return total;
}

size_t ModelConfig::decode_multiplications() const {
    size_t total = vocab_size * d_model;
    for (size_t i = 0; i < n_layers; ++i) total += layer_multiplications(*this, i);
    return total;
}

}  // namespace gemlet
