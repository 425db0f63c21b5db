// Source: GGUF specification, section 2.
#include "quant/convert/gguf_metadata.h"

#include <algorithm>

namespace gemlet {
namespace {

constexpr uint32_t kQuantizationVersion = 2;
constexpr float kFrozen = 1e30F;

bool starts_with(std::string_view text, std::string_view start) {
    return text.substr(0, start.size()) == start;
}

GgufMetadata copy_metadata(const GgufFile& file) {
    GgufMetadata out;
    if (const GgufValue* architecture = file.find("general.architecture")) {
        out.add_value(*architecture);
    }
    for (const GgufValue& value : file.values()) {
        const bool replaced =
            value.key == "general.architecture" || value.key == "general.file_type" ||
            value.key == "general.quantization_version" || value.key == "general.alignment" ||
            starts_with(value.key, "split.") || starts_with(value.key, "quantize.imatrix.");
        if (!replaced) out.add_value(value);
    }
    return out;
}

uint32_t number(size_t n) { return static_cast<uint32_t>(n); }

/// One number per layer: a scalar where they are all the same.
void add_per_layer(GgufMetadata& out, std::string_view key, const std::vector<int32_t>& values) {
    if (std::ranges::all_of(values, [&](int32_t v) { return v == values[0]; })) {
        out.add_u32(key, static_cast<uint32_t>(values[0]));
    } else {
        out.add_i32s(key, values);
    }
}

void add_layers(GgufMetadata& out, const ModelConfig& config) {
    std::vector<int32_t> ffn;
    std::vector<int32_t> kv_heads;
    std::vector<bool> is_local;
    size_t global_dim = config.layers.back().head_dim;
    size_t local_dim = global_dim;
    for (const LayerConfig& layer : config.layers) {
        ffn.push_back(static_cast<int32_t>(layer.ffn_width));
        kv_heads.push_back(static_cast<int32_t>(layer.n_kv_heads));
        is_local.push_back(!layer.is_global);
        (layer.is_global ? global_dim : local_dim) = layer.head_dim;
    }
    add_per_layer(out, "gemma4.feed_forward_length", ffn);
    add_per_layer(out, "gemma4.attention.head_count_kv", kv_heads);
    out.add_u32("gemma4.attention.key_length", number(global_dim));
    out.add_u32("gemma4.attention.value_length", number(global_dim));
    out.add_u32("gemma4.attention.key_length_swa", number(local_dim));
    out.add_u32("gemma4.attention.value_length_swa", number(local_dim));
    out.add_u32("gemma4.rope.dimension_count", number(global_dim));
    out.add_u32("gemma4.rope.dimension_count_swa", number(local_dim));
    out.add_bools("gemma4.attention.sliding_window_pattern", is_local);
}

void add_model(GgufMetadata& out, const ModelConfig& config) {
    out.add_u32("gemma4.block_count", number(config.n_layers));
    out.add_u32("gemma4.context_length", number(config.context_length));
    out.add_u32("gemma4.embedding_length", number(config.d_model));
    out.add_u32("gemma4.attention.head_count", number(config.n_heads));
    add_layers(out, config);
    out.add_f32("gemma4.attention.layer_norm_rms_epsilon", config.norm_eps);
    out.add_u32("gemma4.attention.sliding_window", number(config.window));
    out.add_u32("gemma4.attention.shared_kv_layers",
                number(config.n_layers - config.n_owning_layers));
    out.add_u32("gemma4.embedding_length_per_layer_input", number(config.ple_width));
    out.add_f32("gemma4.rope.freq_base", config.rope_theta_global);
    out.add_f32("gemma4.rope.freq_base_swa", config.rope_theta_local);
    if (config.soft_cap != 0) out.add_f32("gemma4.final_logit_softcapping", config.soft_cap);
    if (config.n_experts == 0) return;
    out.add_u32("gemma4.expert_count", number(config.n_experts));
    out.add_u32("gemma4.expert_used_count", number(config.n_experts_used));
    out.add_u32("gemma4.expert_feed_forward_length", number(config.expert_width));
}

void add_vocabulary(GgufMetadata& out, const GgufVocabulary& vocabulary) {
    out.add_string("tokenizer.ggml.model", "gemma4");
    out.add_strings("tokenizer.ggml.tokens", vocabulary.tokens);
    // Merging needs no scores, but readers expect them.
    out.add_f32s("tokenizer.ggml.scores", std::vector<float>(vocabulary.tokens.size(), -1000.0F));
    out.add_i32s("tokenizer.ggml.token_type", vocabulary.types);
    out.add_strings("tokenizer.ggml.merges", vocabulary.merges);
    const auto role = [&](const char* key, int32_t id) {
        if (id >= 0) out.add_u32(key, static_cast<uint32_t>(id));
    };
    role("tokenizer.ggml.bos_token_id", vocabulary.bos);
    role("tokenizer.ggml.eos_token_id", vocabulary.eos);
    role("tokenizer.ggml.unknown_token_id", vocabulary.unknown);
    role("tokenizer.ggml.padding_token_id", vocabulary.padding);
    role("tokenizer.ggml.mask_token_id", vocabulary.mask);
    out.add_bool("tokenizer.ggml.add_bos_token", true);
    out.add_bool("tokenizer.ggml.add_space_prefix", false);
    if (!vocabulary.suppressed.empty()) {
        out.add_i32s("tokenizer.ggml.suppress_tokens", vocabulary.suppressed);
    }
    if (!vocabulary.chat_template.empty()) {
        out.add_string("tokenizer.chat_template", vocabulary.chat_template);
    }
}

}  // namespace

Result<GgufMetadata> gguf_metadata(const Checkpoint& source, const Scheme& scheme,
                                   const GgufVocabulary* vocabulary) {
    GgufMetadata out;
    if (const GgufFile* file = source.gguf()) {
        out = copy_metadata(*file);
    } else {
        if (vocabulary == nullptr || vocabulary->tokens.size() != source.config().vocab_size ||
            vocabulary->types.size() != vocabulary->tokens.size()) {
            return Status(StatusCode::bad_argument,
                          "the tokenizer does not fit the model's vocabulary", source.path(),
                          static_cast<int64_t>(source.config().vocab_size));
        }
        out.add_string("general.architecture", "gemma4");
        out.add_string("general.type", "model");
        out.add_string("general.name", source.config().name);
        add_model(out, source.config());
        add_vocabulary(out, *vocabulary);
    }
    out.add_u32("general.quantization_version", kQuantizationVersion);
    out.add_u32("general.file_type", scheme.file_type);
    return out;
}

std::vector<float> rope_divisors(const ModelConfig& config) {
    size_t n_pairs = 0;
    for (const LayerConfig& layer : config.layers) {
        if (layer.is_global) n_pairs = layer.head_dim / 2;
    }
    const auto n_rotated =
        static_cast<size_t>(config.rope_fraction_global * static_cast<float>(n_pairs));
    std::vector<float> out(n_pairs, kFrozen);
    std::fill_n(out.begin(), std::min(n_rotated, n_pairs), 1.0F);
    return out;
}

}  // namespace gemlet
