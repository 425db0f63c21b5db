// Hyper-parameters from GGUF metadata (keys gemma4.*). Scalars may stand where per-layer arrays are
// possible. What the metadata does not say is read off the tensor directory: a layer that owns keys
// and has no value projection makes its values from the keys; rope_freqs tells the rotated
// fraction.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <string_view>

#include "core/files/gguf.h"
#include "core/model/config.h"
#include "core/model/config_checks.h"
#include "core/model/gguf_reader.h"

namespace gemlet {
namespace {

constexpr float kFrozenPair = 1e20F;  // rope_freqs divisors above this stop the rotation (1e30)

std::string layer_tensor(size_t layer, const char* rest) {
    return "blk." + std::to_string(layer) + "." + rest;
}

Status read_rope_fraction(const GgufFile& file, ModelConfig& config) {
    const TensorView* freqs = file.tensor("rope_freqs.weight");
    if (freqs == nullptr) return {};  // the released fraction
    if (freqs->raw != RawType::weight || freqs->type != WeightType::f32) {
        return {StatusCode::corrupt, "expected F32 factors", freqs->name};
    }
    const size_t n_pairs = freqs->n_elements();
    size_t n_rotated = 0;
    for (size_t i = 0; i < n_pairs; ++i) {
        float divisor = 0;
        std::memcpy(&divisor, freqs->bytes.data() + i * sizeof(float), sizeof(float));
        const bool frozen = divisor > kFrozenPair;
        if (!frozen && (divisor != 1.0F || n_rotated != i)) {
            return {StatusCode::unsupported, "only a leading run of rotated pairs is known",
                    freqs->name, static_cast<int64_t>(i)};
        }
        if (!frozen) ++n_rotated;
    }
    for (const LayerConfig& layer : config.layers) {
        if (layer.is_global && layer.head_dim != 2 * n_pairs) {
            return {StatusCode::corrupt, "not one factor per pair of a global head", freqs->name,
                    static_cast<int64_t>(n_pairs)};
        }
    }
    if (n_rotated == 0) return {StatusCode::corrupt, "no pair rotates", freqs->name};
    config.rope_fraction_global = static_cast<float>(n_rotated) / static_cast<float>(n_pairs);
    return {};
}

Status read_layers(const GgufFile& file, GgufReader& in, ModelConfig& config) {
    const size_t n = config.n_layers;
    const std::vector<size_t> ffn = in.per_layer("feed_forward_length", n);
    const std::vector<size_t> kv_heads = in.per_layer("attention.head_count_kv", n);
    const std::vector<size_t> is_local = in.per_layer("attention.sliding_window_pattern", n);
    const size_t global_dim = in.required_size("attention.key_length");
    const size_t local_dim = in.size("attention.key_length_swa", global_dim);
    GEMLET_TRY(in.status());
    for (size_t i = 0; i < n; ++i) {
        LayerConfig& layer = config.layers[i];
        layer.is_global = is_local[i] == 0 || i + 1 == n;
        layer.head_dim = layer.is_global ? global_dim : local_dim;
        layer.n_kv_heads = kv_heads[i];
        layer.ffn_width = ffn[i];
        layer.k_equals_v = i < config.n_owning_layers &&
                           file.tensor(layer_tensor(i, "attn_v.weight")) == nullptr &&
                           file.tensor(layer_tensor(i, "attn_qkv.weight")) == nullptr;
    }
    return {};
}

/// The placeholders' ids, which no key names: by their spelling in the vocabulary.
void find_media_ids(const GgufFile& file, ModelConfig& config) {
    const GgufValue* value = file.find("tokenizer.ggml.tokens");
    const auto tokens = value != nullptr ? value->as_strings() : std::nullopt;
    if (!tokens) return;
    const size_t n = std::min(tokens->size(), config.vocab_size);
    for (size_t id = 0; id < n; ++id) {
        const std::string_view token = (*tokens)[id];
        if (token == "<|image|>") config.image_id = static_cast<int32_t>(id);
        if (token == "<|audio|>") config.audio_id = static_cast<int32_t>(id);
        if (token == "<|video|>") config.video_id = static_cast<int32_t>(id);
    }
}

}  // namespace

Result<ModelConfig> config_from_gguf(const GgufFile& file) {
    const GgufValue* architecture = file.find("general.architecture");
    const auto name = architecture != nullptr ? architecture->as_string() : std::nullopt;
    if (!name) return Status(StatusCode::corrupt, "missing", "general.architecture");
    if (*name != "gemma4") {
        return Status(StatusCode::unsupported, "not a Gemma 4 text model (architecture)", *name);
    }
    GgufReader in(file, "gemma4.");
    ModelConfig config;
    config.name = "gemma4";
    config.origin = "gguf";
    config.n_layers = in.required_size("block_count");
    config.d_model = in.required_size("embedding_length");
    config.n_heads = in.required_size("attention.head_count");
    config.context_length = in.required_size("context_length");
    config.window = in.required_size("attention.sliding_window");
    config.ple_width = in.size("embedding_length_per_layer_input", 0);
    config.norm_eps = in.real("attention.layer_norm_rms_epsilon", 1e-6F);
    config.soft_cap = in.real("final_logit_softcapping", 0);
    config.rope_theta_global = in.real("rope.freq_base", 1e6F);
    config.rope_theta_local = in.real("rope.freq_base_swa", 1e4F);
    config.n_experts = in.size("expert_count", 0);
    config.n_experts_used = in.size("expert_used_count", 0);
    const size_t n_shared = in.size("attention.shared_kv_layers", 0);
    GEMLET_TRY(in.status());
    if (config.n_layers == 0 || config.n_layers > 1024 || n_shared >= config.n_layers) {
        return Status(StatusCode::corrupt, "hyper-parameter out of range", "gemma4.block_count",
                      static_cast<int64_t>(config.n_layers));
    }
    config.n_owning_layers = config.n_layers - n_shared;
    config.layers.resize(config.n_layers);
    if (config.n_experts != 0) {
        config.expert_width = in.per_layer("expert_feed_forward_length", config.n_layers)[0];
    }
    const TensorView* embedding = file.tensor("token_embd.weight");
    if (embedding == nullptr || embedding->n_dims != 2) {
        return Status(StatusCode::corrupt, "missing, or not a matrix", "token_embd.weight");
    }
    config.vocab_size = embedding->shape[0];
    // No key says so: models without per-layer embeddings were trained with pictures seen whole.
    config.image_bidirectional = config.ple_width == 0;
    find_media_ids(file, config);
    GEMLET_TRY(read_layers(file, in, config));
    GEMLET_TRY(read_rope_fraction(file, config));
    GEMLET_TRY(finish_config(config));
    return config;
}

}  // namespace gemlet
