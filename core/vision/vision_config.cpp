// Fixed by the architecture, and in no file: attention scale 1, GELU in its tanh form, LayerNorm
// epsilon 1e-5 of the encoder-free embedder.
#include "core/vision/vision_config.h"

#include <cmath>

#include "core/model/gguf_reader.h"
#include "core/model/json_reader.h"

namespace gemlet {
namespace {

constexpr size_t kMaxWidth = size_t{1} << 16U;
constexpr size_t kMaxFfnWidth = size_t{1} << 18U;
constexpr size_t kMaxLayers = 1024;
constexpr size_t kMaxHeadDim = 512;
constexpr size_t kMaxPatchSide = 128;
constexpr size_t kMaxPooling = 8;

Status check_range(const char* key, size_t value, size_t most) {
    if (value >= 1 && value <= most) return {};
    return {StatusCode::corrupt, "hyper-parameter out of range", key, static_cast<int64_t>(value)};
}

/// Checks every number, so that later arithmetic on shapes cannot overflow.
Status check(const VisionConfig& config, size_t text_width) {
    GEMLET_TRY(check_range("hidden_size", config.width, kMaxWidth));
    GEMLET_TRY(check_range("patch_size", config.patch_side, kMaxPatchSide));
    GEMLET_TRY(check_range("pooling_kernel_size", config.pooling, kMaxPooling));
    if (config.text_width != text_width) {
        return {StatusCode::corrupt, "vision encoder belongs to a model of another width",
                "projection_dim", static_cast<int64_t>(config.text_width)};
    }
    if (!(config.norm_eps > 0) || !(config.norm_eps < 1)) {
        return {StatusCode::corrupt, "hyper-parameter out of range", "rms_norm_eps"};
    }
    for (size_t i = 0; i < config.mean.size(); ++i) {
        if (!std::isfinite(config.mean[i]) || !std::isfinite(config.deviation[i]) ||
            config.deviation[i] <= 0) {
            return {StatusCode::corrupt, "not finite, or no deviation at all", "image_std"};
        }
    }
    if (config.kind == VisionKind::embedder) return {};
    GEMLET_TRY(check_range("num_hidden_layers", config.n_layers, kMaxLayers));
    GEMLET_TRY(check_range("num_attention_heads", config.n_heads, kMaxWidth));
    GEMLET_TRY(check_range("num_key_value_heads", config.n_kv_heads, config.n_heads));
    GEMLET_TRY(check_range("head_dim", config.head_dim, kMaxHeadDim));
    GEMLET_TRY(check_range("intermediate_size", config.ffn_width, kMaxFfnWidth));
    if (config.head_dim % 4 != 0) {
        return {StatusCode::corrupt, "head size is no multiple of 4", "head_dim",
                static_cast<int64_t>(config.head_dim)};
    }
    if (config.q_width() > kMaxWidth) {
        return {StatusCode::corrupt, "hyper-parameter out of range", "num_attention_heads",
                static_cast<int64_t>(config.n_heads)};
    }
    if (!(config.rope_theta >= 1) || !(config.rope_theta < 1e12F)) {
        return {StatusCode::corrupt, "hyper-parameter out of range", "rope_theta"};
    }
    return {};
}

Status read_transformer(JsonReader& in, VisionConfig& config) {
    config.width = in.size("hidden_size", 768);
    config.n_layers = in.size("num_hidden_layers", 16);
    config.n_heads = in.size("num_attention_heads", 12);
    config.n_kv_heads = in.size("num_key_value_heads", config.n_heads);
    config.head_dim = in.size("head_dim", config.n_heads == 0 ? 0 : config.width / config.n_heads);
    config.ffn_width = in.size("intermediate_size", 3072);
    config.standardize = in.flag("standardize", false);
    const std::string activation = in.text("hidden_activation");
    if (!activation.empty() && activation != "gelu_pytorch_tanh") {
        return {StatusCode::unsupported, "only gelu_pytorch_tanh is known", "hidden_activation"};
    }
    if (in.flag("attention_bias", false)) {
        return {StatusCode::unsupported, "biases are not known", "attention_bias"};
    }
    if (const Json* rope = in.object("rope_parameters")) {
        JsonReader entry(*rope);
        config.rope_theta = entry.real("rope_theta", config.rope_theta);
        GEMLET_TRY(entry.status());
    }
    return in.status();
}

Status read_numbers(const GgufFile& file, const std::string& key, std::array<float, 3>& out) {
    const GgufValue* value = file.find(key);
    if (value == nullptr) return {};
    const auto numbers = value->as_numbers();
    if (!numbers || numbers->size() != out.size()) {
        return {StatusCode::corrupt, "not three numbers", key};
    }
    for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>((*numbers)[i]);
    return {};
}

/// Which design a file holds, from its projector's name; files with the text model inside have
/// none.
Result<VisionKind> kind_of(const GgufFile& file, bool inside_model) {
    if (inside_model) {
        const GgufValue* layers = file.find("gemma4.vision.block_count");
        return layers->as_integer().value_or(0) > 0 ? VisionKind::transformer
                                                    : VisionKind::embedder;
    }
    const GgufValue* type = file.find("clip.vision.projector_type");
    if (type == nullptr) type = file.find("clip.projector_type");
    const auto name = type != nullptr ? type->as_string() : std::nullopt;
    if (!name) return Status(StatusCode::corrupt, "missing", "clip.vision.projector_type");
    if (*name == "gemma4v") return VisionKind::transformer;
    if (*name == "gemma4uv") return VisionKind::embedder;
    return Status(StatusCode::unsupported, "not a Gemma 4 vision encoder (projector)", *name);
}

}  // namespace

Result<VisionConfig> vision_config_from_json(const Json& document, size_t text_width) {
    JsonReader top(document);
    const Json* vision = top.object("vision_config");
    GEMLET_TRY(top.status());
    if (vision == nullptr) {
        return Status(StatusCode::not_found, "the model has no vision encoder", "vision_config");
    }
    JsonReader in(*vision);
    VisionConfig config;
    const bool unified = top.text("model_type") == "gemma4_unified" ||
                         in.text("model_type") == "gemma4_unified_vision";
    config.patch_side = in.size("patch_size", 16);
    config.pooling = in.size("pooling_kernel_size", 3);
    config.norm_eps = in.real("rms_norm_eps", 1e-6F);
    config.text_width = text_width;
    if (unified) {
        config.kind = VisionKind::embedder;
        config.width = in.size("mm_embed_dim", 3840);
        GEMLET_TRY(check_range("patch_size", config.patch_side, kMaxPatchSide));
        GEMLET_TRY(check_range("pooling_kernel_size", config.pooling, kMaxPooling));
        config.patch_side *= config.pooling;
        config.pooling = 1;
    } else {
        GEMLET_TRY(read_transformer(in, config));
    }
    GEMLET_TRY(top.status());
    GEMLET_TRY(in.status());
    GEMLET_TRY(check(config, text_width));
    return config;
}

Result<VisionConfig> vision_config_from_gguf(const GgufFile& file, size_t text_width) {
    const bool inside_model = file.find("gemma4.vision.block_count") != nullptr;
    const GgufValue* present = file.find("clip.has_vision_encoder");
    const bool declared = present != nullptr && present->as_bool().value_or(false);
    if (!inside_model && !declared) {
        return Status(StatusCode::not_found, "the file has no vision encoder",
                      "clip.has_vision_encoder");
    }
    const Result<VisionKind> kind = kind_of(file, inside_model);
    GEMLET_TRY(kind);
    const std::string prefix = inside_model ? "gemma4.vision." : "clip.vision.";
    GgufReader in(file, prefix);
    VisionConfig config;
    config.kind = *kind;
    config.planar = true;
    config.width = in.required_size("embedding_length");
    config.patch_side = in.size("patch_size", 16);
    config.pooling = in.size("projector.scale_factor", 3);
    config.norm_eps = in.real("attention.layer_norm_epsilon", 1e-6F);
    config.text_width = in.size("projection_dim", text_width);
    GEMLET_TRY(read_numbers(file, prefix + "image_mean", config.mean));
    GEMLET_TRY(read_numbers(file, prefix + "image_std", config.deviation));
    if (config.kind == VisionKind::embedder) {
        GEMLET_TRY(check_range("patch_size", config.patch_side, kMaxPatchSide));
        GEMLET_TRY(check_range("projector.scale_factor", config.pooling, kMaxPooling));
        config.patch_side *= config.pooling;
        config.pooling = 1;
    } else {
        config.n_layers = in.required_size("block_count");
        config.n_heads = in.required_size("attention.head_count");
        config.n_kv_heads = in.size("attention.head_count_kv", config.n_heads);
        config.ffn_width = in.required_size("feed_forward_length");
        config.head_dim = config.n_heads == 0 ? 0 : config.width / config.n_heads;
        if (config.n_heads != 0 && config.width % config.n_heads != 0) {
            return Status(StatusCode::corrupt, "heads do not divide the width",
                          "attention.head_count", static_cast<int64_t>(config.n_heads));
        }
    }
    GEMLET_TRY(in.status());
    GEMLET_TRY(check(config, text_width));
    return config;
}

}  // namespace gemlet
