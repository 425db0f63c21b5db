// The list of tensors under their Hugging Face names and those of the two GGUF dialects, in which
// some names mean different tensors.
#include "core/audio/audio_weights.h"

#include <cmath>
#include <initializer_list>
#include <memory>
#include <numbers>
#include <string>

#include "quant/formats/dequantize.h"

namespace gemlet {
namespace {

constexpr size_t kKernel = 9;  // 3 x 3

struct LinearName {
    const char* hugging_face;
    const char* gguf;
    TowerLinear AudioLayer::*member;
};

constexpr LinearName kLinears[] = {
    {"self_attn.q_proj", "attn_q", &AudioLayer::q},
    {"self_attn.k_proj", "attn_k", &AudioLayer::k},
    {"self_attn.v_proj", "attn_v", &AudioLayer::v},
    {"self_attn.post", "attn_out", &AudioLayer::o},
    {"lconv1d.linear_start", "conv_pw1", &AudioLayer::conv_start},
    {"lconv1d.linear_end", "conv_pw2", &AudioLayer::conv_end},
};

struct VectorName {
    const char* hugging_face;
    const char* gguf;
    const char* gguf_second;  // dialect
    const float* AudioLayer::*member;
};

constexpr VectorName kVectors[] = {
    {"norm_pre_attn", "attn_pre_norm", "ln1", &AudioLayer::pre_attention_norm},
    {"norm_post_attn", "attn_post_norm", "ln2", &AudioLayer::post_attention_norm},
    {"lconv1d.pre_layer_norm", "conv_norm", "conv_norm", &AudioLayer::pre_conv_norm},
    {"lconv1d.conv_norm", "norm_conv", "norm_conv", &AudioLayer::conv_norm},
    {"norm_out", "ln2", "layer_pre_norm", &AudioLayer::output_norm},
};

/// Binds one encoder.
class AudioBinder {
  public:
    AudioBinder(const TowerSource& files, const AudioConfig& config, AudioWeights& out)
        : in_(files.tensors, files.quantization, out.store),
          is_gguf_(files.is_gguf),
          config_(config),
          out_(out) {
        root_ = in_.root("embed_audio.embedding_projection.weight");
        is_second_ =
            is_gguf_ && (in_.has("a.blk.0.layer_pre_norm.weight") || in_.has("mm.a.fc.weight"));
    }
    void bind();
    const TowerTensors& tensors() const { return in_; }

  private:
    std::string pick(const char* hugging_face, const char* gguf) const {
        return is_gguf_ ? gguf : root_ + hugging_face;
    }
    std::string layer(size_t index, const std::string& hugging_face,
                      const std::string& gguf) const {
        const std::string number = std::to_string(index);
        return is_gguf_ ? "a.blk." + number + "." + gguf
                        : root_ + "audio_tower.layers." + number + "." + hugging_face;
    }
    void bind_subsampling();
    void bind_conv(const std::string& name, size_t n_out, size_t n_in, TowerLinear& out);
    void bind_layer(size_t index);
    void bind_ffn(size_t index, const std::string& hugging_face, const std::string& suffix,
                  AudioFfn& out);
    void bind_scales(size_t index, AudioLayer& out);
    void bind_taps(const std::string& name, AudioLayer& out);
    float* keep(size_t n);
    bool widen(const Matrix& matrix, const std::string& name, float* out);

    TowerTensors in_;
    bool is_gguf_;
    bool is_second_;  // dialect
    const AudioConfig& config_;
    AudioWeights& out_;
    std::string root_;
};

/// Memory for n floats that lives as long as the weights.
float* AudioBinder::keep(size_t n) {
    out_.store.vectors.push_back(std::make_unique<float[]>(n));
    out_.store.weight_bytes += n * sizeof(float);
    return out_.store.vectors.back().get();
}

bool AudioBinder::widen(const Matrix& matrix, const std::string& name, float* out) {
    const size_t n = matrix.n_rows * matrix.n_cols;
    dequantize_row(matrix.type, matrix.data, n, out);
    for (size_t i = 0; i < n; ++i) {
        if (std::isfinite(out[i])) continue;
        in_.fail({StatusCode::corrupt, "weight is not finite", name, static_cast<int64_t>(i)});
        return false;
    }
    return true;
}

/// A 3 x 3 kernel [n_out, n_in, time, frequency] as rows in order of time, frequency, input.
void AudioBinder::bind_conv(const std::string& name, size_t n_out, size_t n_in, TowerLinear& out) {
    const Matrix stored = in_.table(name, {n_out, n_in, 3, 3}, n_in * kKernel);
    if (!stored.present()) return;
    const auto plain = std::make_unique<float[]>(n_out * n_in * kKernel);
    if (!widen(stored, name, plain.get())) return;
    float* turned = keep(n_out * n_in * kKernel);
    for (size_t row = 0; row < n_out; ++row) {
        for (size_t i = 0; i < n_in; ++i) {
            for (size_t at = 0; at < kKernel; ++at) {
                turned[(row * kKernel + at) * n_in + i] = plain[(row * n_in + i) * kKernel + at];
            }
        }
    }
    const size_t n_cols = n_in * kKernel;
    out.matrix = {reinterpret_cast<const uint8_t*>(turned), WeightType::f32, n_out, n_cols,
                  n_cols * sizeof(float)};
}

void AudioBinder::bind_subsampling() {
    const char* const first = "audio_tower.subsample_conv_projection.layer0.";
    const char* const second = "audio_tower.subsample_conv_projection.layer1.";
    const auto name = [&](const char* stage, const char* part, const char* gguf) {
        return pick((std::string(stage) + part).c_str(), gguf);
    };
    bind_conv(name(first, "conv.weight", "a.conv1d.0.weight"), config_.first_channels, 1,
              out_.first_conv);
    bind_conv(name(second, "conv.weight", "a.conv1d.1.weight"), config_.second_channels,
              config_.first_channels, out_.second_conv);
    out_.first_norm =
        in_.vector(name(first, "norm.weight", "a.conv1d.0.norm.weight"), config_.first_channels);
    out_.second_norm =
        in_.vector(name(second, "norm.weight", "a.conv1d.1.norm.weight"), config_.second_channels);
    out_.input = in_.linear(pick("audio_tower.subsample_conv_projection.input_proj_linear",
                                 is_second_ ? "a.pre_encode.out" : "a.input_projection"),
                            config_.width, config_.subsampled_width());
}

void AudioBinder::bind_ffn(size_t index, const std::string& hugging_face, const std::string& suffix,
                           AudioFfn& out) {
    const auto name = [&](const char* part, const char* gguf) {
        return layer(index, hugging_face + "." + part, gguf + suffix);
    };
    out.pre_norm = in_.vector(name("pre_layer_norm", "ffn_norm") + ".weight", config_.width);
    out.post_norm = in_.vector(name("post_layer_norm", "ffn_post_norm") + ".weight", config_.width);
    out.up = in_.linear(name("ffw_layer_1", "ffn_up"), config_.ffn_width, config_.width);
    out.down = in_.linear(name("ffw_layer_2", "ffn_down"), config_.width, config_.ffn_width);
}

/// What queries and keys are multiplied by, all factors in one. GGUF files hold softplus(scale).
void AudioBinder::bind_scales(size_t index, AudioLayer& out) {
    const size_t dim = config_.head_dim();
    const std::string name = layer(index, "self_attn.per_dim_scale", "per_dim_scale.weight");
    const float* stored = in_.vector(name, dim);
    const std::string k_name = layer(index, "self_attn.per_dim_k_scale", "per_dim_k_scale.weight");
    const float* stored_k = in_.has(k_name) ? in_.vector(k_name, dim) : nullptr;
    if (stored == nullptr) return;
    const auto softplus = [this](float raw) {
        const auto x = static_cast<double>(raw);
        return is_gguf_ ? x : std::log1p(std::exp(-std::abs(x))) + std::max(x, 0.0);
    };
    const double for_q = 1 / (std::sqrt(static_cast<double>(dim)) * std::numbers::ln2);
    const double for_k = std::log1p(std::numbers::e) / std::numbers::ln2;
    float* q = keep(dim);
    float* k = keep(dim);
    for (size_t i = 0; i < dim; ++i) {
        q[i] = static_cast<float>(for_q * softplus(stored[i]));
        k[i] = static_cast<float>(for_k * (stored_k != nullptr ? softplus(stored_k[i]) : 1.0));
    }
    out.q_scale = q;
    out.k_scale = k;
}

void AudioBinder::bind_taps(const std::string& name, AudioLayer& out) {
    const TensorView* tensor = in_.require(name);
    if (tensor == nullptr) return;
    const size_t width = config_.width;
    const Matrix stored = tensor->n_dims == 2 ? in_.table(name, {width, kAudioTaps}, kAudioTaps)
                                              : in_.table(name, {width, 1, kAudioTaps}, kAudioTaps);
    if (!stored.present()) return;
    const auto plain = std::make_unique<float[]>(width * kAudioTaps);
    if (!widen(stored, name, plain.get())) return;
    float* taps = keep(width * kAudioTaps);
    for (size_t i = 0; i < width; ++i) {
        for (size_t tap = 0; tap < kAudioTaps; ++tap) {
            taps[tap * width + i] = plain[i * kAudioTaps + tap];
        }
    }
    out.taps = taps;
}

void AudioBinder::bind_layer(size_t index) {
    AudioLayer& out = out_.layers[index];
    const size_t width = config_.width;
    bind_ffn(index, "feed_forward1", "", out.first);
    bind_ffn(index, "feed_forward2", "_1", out.second);
    for (const VectorName& name : kVectors) {
        out.*name.member = in_.vector(
            layer(index, name.hugging_face, is_second_ ? name.gguf_second : name.gguf) + ".weight",
            width);
    }
    for (const LinearName& name : kLinears) {
        const bool is_start = name.member == &AudioLayer::conv_start;
        out.*name.member = in_.linear(layer(index, name.hugging_face, name.gguf),
                                      is_start ? 2 * width : width, width);
    }
    out.distance.matrix = in_.matrix(
        layer(index, "self_attn.relative_k_proj", is_second_ ? "linear_pos" : "attn_k_rel") +
            ".weight",
        width, width);
    out_.store.weight_bytes -= out.distance.matrix.bytes();  // read once only
    bind_scales(index, out);
    bind_taps(layer(index, "lconv1d.depthwise_conv1d", "conv_dw") + ".weight", out);
}

void AudioBinder::bind() {
    if (config_.kind == AudioKind::conformer) {
        bind_subsampling();
        out_.layers.resize(config_.n_layers);
        for (size_t i = 0; i < config_.n_layers && in_.status().ok(); ++i) bind_layer(i);
        const std::string output =
            pick("audio_tower.output_proj", is_second_ ? "mm.a.fc" : "a.pre_encode.out");
        out_.output = in_.linear(output, config_.output_width, config_.width);
        out_.output_bias = in_.vector(output + ".bias", config_.output_width);
    }
    const char* const norm = "mm.a.soft_emb_norm.weight";
    if (is_gguf_ && in_.has(norm)) out_.soft_norm = in_.vector(norm, config_.output_width);
    out_.projector = in_.linear(pick("embed_audio.embedding_projection", "mm.a.input_projection"),
                                config_.text_width, config_.output_width);
}

}  // namespace

Result<AudioWeights> bind_audio_weights(const TowerSource& files, const AudioConfig& config,
                                        const TensorView** faulty) {
    AudioWeights out;
    AudioBinder binder(files, config, out);
    binder.bind();
    if (!binder.tensors().status().ok()) {
        if (faulty != nullptr) *faulty = binder.tensors().faulty();
        return binder.tensors().status();
    }
    return out;
}

std::vector<TowerLinear*> AudioWeights::layer_linears() {
    std::vector<TowerLinear*> out;
    for (AudioLayer& layer : layers) {
        for (AudioFfn* ffn : {&layer.first, &layer.second}) {
            out.push_back(&ffn->up);
            out.push_back(&ffn->down);
        }
        for (const LinearName& name : kLinears) out.push_back(&(layer.*name.member));
    }
    return out;
}

}  // namespace gemlet
