// config.json of a Hugging Face directory. Two spellings of the per-kind geometry occur: older
// files have global_head_dim and num_global_key_value_heads, newer ones per_layer_config with
// decimal layer numbers (padded with zeros) as keys.
#include <charconv>
#include <cmath>

#include "core/model/config.h"
#include "core/model/config_checks.h"
#include "core/model/json_reader.h"

namespace gemlet {
namespace {

Status read_layer_kinds(const Json& text, ModelConfig& config) {
    const Json* kinds = text.find("layer_types");
    if (kinds != nullptr && !kinds->is_null() &&
        (!kinds->is_array() || kinds->items.size() != config.n_layers)) {
        return {StatusCode::corrupt, "not one entry per layer", "layer_types"};
    }
    for (size_t i = 0; i < config.n_layers; ++i) {
        bool is_global = (i + 1) % 6 == 0;
        if (kinds != nullptr && !kinds->is_null()) {
            const std::string& kind = kinds->items[i].text;
            is_global = kind == "full_attention";
            if (!is_global && kind != "sliding_attention") {
                return {StatusCode::unsupported, "unknown kind of layer", "layer_types",
                        static_cast<int64_t>(i)};
            }
        }
        // A released rule: the last layer is global whatever the file says.
        config.layers[i].is_global = is_global || i + 1 == config.n_layers;
    }
    return {};
}

Status read_overrides(const Json& overrides, ModelConfig& config) {
    for (const Json::Member& member : overrides.members) {
        const std::string& key = member.first;
        size_t index = 0;
        const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), index);
        if (error != std::errc() || end != key.data() + key.size() || index >= config.n_layers) {
            return {StatusCode::corrupt, "per_layer_config names no layer of the model", key};
        }
        if (!member.second.is_object()) return {StatusCode::corrupt, "not an object", key};
        JsonReader entry(member.second);
        LayerConfig& layer = config.layers[index];
        layer.head_dim = entry.size("head_dim", layer.head_dim);
        layer.n_kv_heads = entry.size("num_key_value_heads", layer.n_kv_heads);
        GEMLET_TRY(entry.status());
    }
    return {};
}

Status read_geometry(const Json& text, ModelConfig& config) {
    JsonReader in(text);
    const size_t head_dim = in.size("head_dim", 256);
    const size_t n_kv_heads = in.size("num_key_value_heads", 4);
    const bool k_equals_v = in.flag("attention_k_eq_v", false);
    const bool double_wide = in.flag("use_double_wide_mlp", false);
    const size_t ffn_width = in.size("intermediate_size", 9216);
    const Json* overrides = in.object("per_layer_config");
    const bool has_overrides = overrides != nullptr && !overrides->members.empty();
    for (size_t i = 0; i < config.n_layers; ++i) {
        LayerConfig& layer = config.layers[i];
        layer.head_dim = head_dim;
        layer.n_kv_heads = n_kv_heads;
        layer.k_equals_v = k_equals_v && layer.is_global;
        layer.ffn_width = double_wide && i >= config.n_owning_layers ? 2 * ffn_width : ffn_width;
        if (layer.is_global && !has_overrides) {
            layer.head_dim = in.size("global_head_dim", 512);
            if (k_equals_v) layer.n_kv_heads = in.size("num_global_key_value_heads", n_kv_heads);
        }
    }
    GEMLET_TRY(in.status());
    return has_overrides ? read_overrides(*overrides, config) : Status();
}

/// Whole heads turn under "default", a part of each under "proportional": with a fraction of one
/// they are the same.
Status check_rope_type(JsonReader& in, bool fraction_is_one) {
    const std::string type = in.text("rope_type");
    if (type.empty() || type == "proportional" || (type == "default" && fraction_is_one)) return {};
    return {StatusCode::unsupported, "unknown kind of position embedding", "rope_type"};
}

Status read_rope(const Json& text, ModelConfig& config) {
    JsonReader in(text);
    const Json* rope = in.object("rope_parameters");
    GEMLET_TRY(in.status());
    if (rope == nullptr) return {};
    JsonReader kinds(*rope);
    const Json* local = kinds.object("sliding_attention");
    const Json* global = kinds.object("full_attention");
    GEMLET_TRY(kinds.status());
    if (local != nullptr) {
        JsonReader entry(*local);
        config.rope_theta_local = entry.real("rope_theta", config.rope_theta_local);
        GEMLET_TRY(check_rope_type(entry, true));
        GEMLET_TRY(entry.status());
    }
    if (global != nullptr) {
        JsonReader entry(*global);
        config.rope_theta_global = entry.real("rope_theta", config.rope_theta_global);
        config.rope_fraction_global = entry.real("partial_rotary_factor", 1.0F);
        config.rope_factor_global = entry.real("factor", 1.0F);
        GEMLET_TRY(check_rope_type(entry, config.rope_fraction_global == 1.0F));
        GEMLET_TRY(entry.status());
    }
    return {};
}

Status read_sizes(const Json& text, bool is_unified, ModelConfig& config) {
    JsonReader in(text);
    config.n_layers = in.size("num_hidden_layers", 30);
    config.d_model = in.size("hidden_size", 2304);
    config.n_heads = in.size("num_attention_heads", 8);
    config.vocab_size = in.size("vocab_size", 262144);
    const Json* ple = text.find("hidden_size_per_layer_input");
    const bool ple_is_null = ple != nullptr && ple->is_null();
    config.ple_width = in.size("hidden_size_per_layer_input", is_unified || ple_is_null ? 0 : 256);
    config.window = in.size("sliding_window", is_unified ? 1024 : 512);
    config.context_length = in.size("max_position_embeddings", is_unified ? 262144 : 131072);
    config.norm_eps = in.real("rms_norm_eps", 1e-6F);
    config.soft_cap = in.real("final_logit_softcapping", 0);
    config.pad_id = static_cast<int32_t>(in.size("pad_token_id", 0));
    if (in.flag("enable_moe_block", false)) {
        config.n_experts = in.size("num_experts", 0);
        config.n_experts_used = in.size("top_k_experts", 0);
        config.expert_width = in.size("moe_intermediate_size", 0);
        if (config.n_experts == 0) {
            return {StatusCode::corrupt, "experts are enabled but not counted", "num_experts"};
        }
    }
    const size_t n_shared = in.size("num_kv_shared_layers", 0);
    const std::string activation = in.text("hidden_activation");
    const std::string bidirectional = in.has("use_bidirectional_attention")
                                          ? in.text("use_bidirectional_attention")
                                          : (is_unified ? "vision" : "");
    GEMLET_TRY(in.status());
    if (!activation.empty() && activation != "gelu_pytorch_tanh") {
        return {StatusCode::unsupported, "only gelu_pytorch_tanh is known", "hidden_activation"};
    }
    if (bidirectional == "all") {
        return {StatusCode::unsupported, "embedding models are not supported",
                "use_bidirectional_attention"};
    }
    if (!bidirectional.empty() && bidirectional != "vision") {
        return {StatusCode::unsupported, "unknown kind of attention",
                "use_bidirectional_attention"};
    }
    if (config.n_layers == 0 || config.n_layers > 1024 || n_shared >= config.n_layers) {
        return {StatusCode::corrupt, "hyper-parameter out of range", "num_hidden_layers",
                static_cast<int64_t>(config.n_layers)};
    }
    config.image_bidirectional = bidirectional == "vision";
    config.n_owning_layers = config.n_layers - n_shared;
    config.layers.resize(config.n_layers);
    return {};
}

Status read_placeholders(const Json& document, ModelConfig& config) {
    JsonReader in(document);
    const auto id = [&in](const char* key) {
        return in.has(key) ? static_cast<int32_t>(in.size(key, 0)) : -1;
    };
    config.image_id = id("image_token_id");
    config.audio_id = id("audio_token_id");
    config.video_id = id("video_token_id");
    return in.status();
}

Status read_quantization(const Json& document, ModelConfig& config) {
    const Json* quantization = document.find("quantization_config");
    config.origin = "safetensors";
    if (quantization == nullptr || quantization->is_null()) return {};
    const Json* method = quantization->find("quant_method");
    if (method == nullptr || method->text != "gemma") {
        return {StatusCode::unsupported, "this quantisation is not supported (only gemma is)",
                "quant_method"};
    }
    config.is_qat = true;
    config.origin = "safetensors, QAT mobile";
    return {};
}

}  // namespace

Result<ModelConfig> config_from_json(const Json& document) {
    if (!document.is_object()) {
        return Status(StatusCode::corrupt, "not a JSON object", "config.json");
    }
    const Json* nested = document.find("text_config");
    const Json& text = nested != nullptr && nested->is_object() ? *nested : document;
    const Json* kind = document.find("model_type");
    const std::string model_type = kind != nullptr ? kind->text : "";
    if (model_type.rfind("gemma4", 0) != 0) {
        return Status(StatusCode::unsupported, "not a Gemma 4 model (model_type)", model_type);
    }
    if (model_type.find("assistant") != std::string::npos) {
        return Status(StatusCode::unsupported,
                      "a drafter has no keys and values of its own and cannot run alone",
                      model_type);
    }
    ModelConfig config;
    config.name = model_type;
    const bool is_unified = model_type.rfind("gemma4_unified", 0) == 0;
    GEMLET_TRY(read_sizes(text, is_unified, config));
    GEMLET_TRY(read_layer_kinds(text, config));
    GEMLET_TRY(read_geometry(text, config));
    GEMLET_TRY(read_rope(text, config));
    GEMLET_TRY(read_placeholders(document, config));
    GEMLET_TRY(read_quantization(document, config));
    GEMLET_TRY(finish_config(config));
    return config;
}

}  // namespace gemlet
