// What a config.json may say about the fixed parts of the architecture is checked here, so that a
// model of another make is refused and not computed wrongly.
#include "core/audio/audio_config.h"

#include <cmath>
#include <string>

#include "core/model/gguf_reader.h"
#include "core/model/json_reader.h"

namespace gemlet {
namespace {

constexpr size_t kMaxWidth = size_t{1} << 14U;
constexpr size_t kMaxFfnWidth = size_t{1} << 17U;
constexpr size_t kMaxLayers = 1024;
constexpr size_t kMaxChannels = 1024;
constexpr size_t kFfnFactor = 4;
constexpr double kNeverClips = 65504;  // guard clamps beyond this do nothing in float

Status check_range(const char* key, size_t value, size_t most) {
    if (value >= 1 && value <= most) return {};
    return {StatusCode::corrupt, "hyper-parameter out of range", key, static_cast<int64_t>(value)};
}

/// Checks every number, so that later arithmetic on shapes cannot overflow.
Status check(const AudioConfig& config, size_t text_width) {
    GEMLET_TRY(check_range("audio_embed_dim", config.frame_width, kMaxWidth));
    GEMLET_TRY(check_range("output_proj_dims", config.output_width, kMaxWidth));
    if (config.text_width != text_width) {
        return {StatusCode::corrupt, "audio encoder belongs to a model of another width",
                "projection_dim", static_cast<int64_t>(config.text_width)};
    }
    if (config.kind == AudioKind::embedder) {
        if (config.frame_width == kSamplesPerAudioToken) return {};
        return {StatusCode::unsupported, "only blocks of 640 samples are known", "audio_embed_dim",
                static_cast<int64_t>(config.frame_width)};
    }
    GEMLET_TRY(check_range("hidden_size", config.width, kMaxWidth));
    GEMLET_TRY(check_range("num_hidden_layers", config.n_layers, kMaxLayers));
    GEMLET_TRY(check_range("num_attention_heads", config.n_heads, config.width));
    GEMLET_TRY(check_range("feed_forward_length", config.ffn_width, kMaxFfnWidth));
    GEMLET_TRY(check_range("subsampling_conv_channels", config.first_channels, kMaxChannels));
    GEMLET_TRY(check_range("subsampling_conv_channels", config.second_channels, kMaxChannels));
    if (config.width % config.n_heads != 0 || config.width % 2 != 0) {
        return {StatusCode::corrupt, "heads do not divide the width", "num_attention_heads",
                static_cast<int64_t>(config.n_heads)};
    }
    return {};
}

/// Refuses another value of something that is fixed.
Status expect(JsonReader& in, const char* key, double value) {
    const double found = static_cast<double>(in.real(key, static_cast<float>(value)));
    GEMLET_TRY(in.status());
    if (std::abs(found - value) <= 1e-6 * value) return {};
    return {StatusCode::unsupported, "audio encoders of this kind are not known", key};
}

Status check_fixed(JsonReader& in) {
    GEMLET_TRY(expect(in, "attention_chunk_size", kAudioWindow));
    GEMLET_TRY(expect(in, "attention_context_left", kAudioWindow + 1));
    GEMLET_TRY(expect(in, "attention_context_right", 0));
    GEMLET_TRY(expect(in, "attention_logit_cap", static_cast<double>(kAudioLogitCap)));
    GEMLET_TRY(expect(in, "conv_kernel_size", kAudioTaps));
    GEMLET_TRY(expect(in, "residual_weight", 0.5));
    GEMLET_TRY(expect(in, "rms_norm_eps", static_cast<double>(kAudioEps)));
    const std::string activation = in.text("hidden_act");
    if (!activation.empty() && activation != "silu" && activation != "swish") {
        return {StatusCode::unsupported, "only silu is known", "hidden_act"};
    }
    if (!(static_cast<double>(in.real("gradient_clipping", 1e10F)) >= kNeverClips)) {
        return {StatusCode::unsupported, "guard clamps within the range of activations",
                "gradient_clipping"};
    }
    return in.status();
}

Status read_channels(const Json& audio, AudioConfig& config) {
    const char* key = "subsampling_conv_channels";
    const Json* channels = audio.find(key);
    if (channels == nullptr || channels->is_null()) return {};
    if (!channels->is_array() || channels->items.size() != 2) {
        return {StatusCode::corrupt, "not two numbers", key};
    }
    size_t* const out[] = {&config.first_channels, &config.second_channels};
    for (size_t i = 0; i < 2; ++i) {
        const Json& item = channels->items[i];
        if (!item.is_number() || !(item.number >= 1) || item.number > kMaxChannels ||
            item.number != std::floor(item.number)) {
            return {StatusCode::corrupt, "hyper-parameter out of range", key};
        }
        *out[i] = static_cast<size_t>(item.number);
    }
    return {};
}

/// Which design a file holds, from its projector's name; files with the text model inside have
/// none.
Result<AudioKind> kind_of(const GgufFile& file, bool inside_model) {
    if (inside_model) {
        const GgufValue* layers = file.find("gemma4.audio.block_count");
        return layers->as_integer().value_or(0) > 0 ? AudioKind::conformer : AudioKind::embedder;
    }
    const GgufValue* type = file.find("clip.audio.projector_type");
    if (type == nullptr) type = file.find("clip.projector_type");
    const auto name = type != nullptr ? type->as_string() : std::nullopt;
    if (!name) return Status(StatusCode::corrupt, "missing", "clip.audio.projector_type");
    if (*name == "gemma4a") return AudioKind::conformer;
    if (*name == "gemma4ua") return AudioKind::embedder;
    return Status(StatusCode::unsupported, "not a Gemma 4 audio encoder (projector)", *name);
}

/// One side of a tensor's shape; 0 when there is no such tensor.
size_t side(const GgufFile& file, const char* name, size_t axis) {
    const TensorView* tensor = find_tensor(file.tensors(), name);
    return tensor != nullptr && axis < tensor->n_dims ? tensor->shape[axis] : 0;
}

Status read_conformer(const GgufFile& file, GgufReader& in, AudioConfig& config) {
    config.width = in.required_size("embedding_length");
    config.n_layers = in.required_size("block_count");
    config.n_heads = in.required_size("attention.head_count");
    config.ffn_width = in.required_size("feed_forward_length");
    GEMLET_TRY(in.status());
    const size_t n_mels = in.size("num_mel_bins", kMelBins);
    const size_t n_taps = in.size("conv_kernel_size", kAudioTaps);
    if (n_mels != kMelBins || n_taps != kAudioTaps) {
        return {StatusCode::unsupported, "audio encoders of this kind are not known",
                n_mels != kMelBins ? "num_mel_bins" : "conv_kernel_size"};
    }
    config.first_channels = side(file, "a.conv1d.0.weight", 0);
    config.second_channels = side(file, "a.conv1d.1.weight", 0);
    config.output_width = side(file, "mm.a.input_projection.weight", 1);
    return in.status();
}

}  // namespace

Result<AudioConfig> audio_config_from_json(const Json& document, size_t text_width) {
    JsonReader top(document);
    const Json* audio = top.object("audio_config");
    GEMLET_TRY(top.status());
    if (audio == nullptr) {
        return Status(StatusCode::not_found, "the model has no audio encoder", "audio_config");
    }
    JsonReader in(*audio);
    AudioConfig config;
    config.text_width = text_width;
    const bool unified = top.text("model_type") == "gemma4_unified" ||
                         in.text("model_type") == "gemma4_unified_audio";
    if (unified) {
        config.kind = AudioKind::embedder;
        config.frame_width = in.size("audio_embed_dim", kSamplesPerAudioToken);
        config.output_width = config.frame_width;
        GEMLET_TRY(expect(in, "rms_norm_eps", static_cast<double>(kAudioEps)));
    } else {
        config.width = in.size("hidden_size", 1024);
        config.n_layers = in.size("num_hidden_layers", 12);
        config.n_heads = in.size("num_attention_heads", 8);
        config.output_width = in.size("output_proj_dims", 1536);
        GEMLET_TRY(check_range("hidden_size", config.width, kMaxWidth));
        config.ffn_width = kFfnFactor * config.width;
        GEMLET_TRY(read_channels(*audio, config));
        GEMLET_TRY(check_fixed(in));
    }
    GEMLET_TRY(top.status());
    GEMLET_TRY(in.status());
    GEMLET_TRY(check(config, text_width));
    return config;
}

Result<AudioConfig> audio_config_from_gguf(const GgufFile& file, size_t text_width) {
    const bool inside_model = file.find("gemma4.audio.block_count") != nullptr;
    const GgufValue* present = file.find("clip.has_audio_encoder");
    const bool declared = present != nullptr && present->as_bool().value_or(false);
    if (!inside_model && !declared) {
        return Status(StatusCode::not_found, "the file has no audio encoder",
                      "clip.has_audio_encoder");
    }
    const Result<AudioKind> kind = kind_of(file, inside_model);
    GEMLET_TRY(kind);
    GgufReader in(file, inside_model ? "gemma4.audio." : "clip.audio.");
    AudioConfig config;
    config.kind = *kind;
    config.text_width = in.size("projection_dim", text_width);
    if (config.kind == AudioKind::embedder) {
        config.frame_width = side(file, "mm.a.input_projection.weight", 1);
        config.output_width = config.frame_width;
    } else {
        GEMLET_TRY(read_conformer(file, in, config));
    }
    GEMLET_TRY(in.status());
    GEMLET_TRY(check(config, text_width));
    return config;
}

}  // namespace gemlet
