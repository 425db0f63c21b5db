// The conformer. A layer is the list of calls in run_layer. Nothing looks ahead: the attention sees
// the 11 positions before, the depthwise convolution 4, and both are kept from piece to piece.
// The reference computes attention in blocks of 12 with a shifted table of distances, which is the
// band written out here. Source: Gemma4AudioModel of the reference implementation.
#include <algorithm>
#include <cmath>

#include "core/audio/encode.h"
#include "core/audio/lanes.h"

namespace gemlet {
namespace {

constexpr float kHalfStep = 0.5F;

/// q . (k + r) in the canonical order of sums, without fused steps.
float biased_dot(const float* q, const float* k, const float* r, size_t n) {
    float lanes[kLanes] = {};
    for_lanes(n, [&](size_t i, size_t lane) { lanes[lane] += q[i] * (k[i] + r[i]); });
    return canonical_tree(lanes);
}

/// One run over the tokens of a piece.
class Pass {
  public:
    Pass(const TowerCompute& compute, const AudioModel& model, AudioWorkspace& workspace, size_t n)
        : compute_(compute),
          vector_(*compute.kernels.vector),
          config_(model.config),
          weights_(model.weights),
          ws_(workspace),
          n_(n),
          width_(model.config.width) {}
    void run();

  private:
    void run_layer(size_t index);
    void norm(const float* weight);
    void add_normed(const float* weight, float factor);
    void half_ffn(const AudioFfn& ffn);
    void attention(size_t index);
    void scale_heads(float* rows, const float* scale);
    void attend(size_t row, size_t index);
    void convolution(size_t index);
    void output_norm(const float* weight);

    // The parts of workspace.wide during attention and during the convolution module.
    float* queries() const { return ws_.wide; }
    float* keys() const { return ws_.wide + n_ * width_; }
    float* values() const { return keys() + (kPastKeys + n_) * width_; }
    float* gated() const { return ws_.wide + 2 * n_ * width_; }

    const TowerCompute& compute_;
    const VectorVariant& vector_;
    const AudioConfig& config_;
    const AudioWeights& weights_;
    AudioWorkspace& ws_;
    size_t n_;
    size_t width_;
};

void Pass::norm(const float* weight) {
    tower_rows(compute_, n_, [&](size_t row, size_t) {
        vector_.rms_norm(ws_.hidden + row * width_, weight, ws_.normed + row * width_, width_,
                         kAudioEps);
    });
}

void Pass::add_normed(const float* weight, float factor) {
    tower_rows(compute_, n_, [&](size_t row, size_t) {
        float* branch = ws_.branch + row * width_;
        vector_.rms_norm(branch, weight, branch, width_, kAudioEps);
        vector_.axpy(branch, ws_.hidden + row * width_, width_, factor);
    });
}

void Pass::output_norm(const float* weight) {
    tower_rows(compute_, n_, [&](size_t row, size_t) {
        float* hidden = ws_.hidden + row * width_;
        vector_.rms_norm(hidden, weight, hidden, width_, kAudioEps);
    });
}

void Pass::half_ffn(const AudioFfn& ffn) {
    const size_t inner = config_.ffn_width;
    norm(ffn.pre_norm);                                        // normed [n, width]
    tower_linear(compute_, ffn.up, ws_.normed, ws_.wide, n_);  // [n, ffn]
    tower_rows(compute_, n_, [&](size_t row, size_t) {
        float* x = ws_.wide + row * inner;
        vector_.sigmoid_mul(x, x, x, inner);
    });
    tower_linear(compute_, ffn.down, ws_.wide, ws_.branch, n_);  // [n, width]
    add_normed(ffn.post_norm, kHalfStep);                        // hidden [n, width]
}

void Pass::scale_heads(float* rows, const float* scale) {
    const size_t dim = config_.head_dim();
    tower_rows(compute_, n_, [&](size_t row, size_t) {
        for (size_t head = 0; head < config_.n_heads; ++head) {
            float* x = rows + row * width_ + head * dim;
            for (size_t i = 0; i < dim; ++i) x[i] *= scale[i];
        }
    });
}

/// All heads of one position, to its row of workspace.normed.
void Pass::attend(size_t row, size_t index) {
    const size_t dim = config_.head_dim();
    const size_t n_past = std::min(kPastKeys, ws_.n_tokens + row);
    const size_t newest = kPastKeys + row;  // its own row among the keys
    const float* distances = ws_.distances + index * kAudioWindow * width_;
    for (size_t head = 0; head < config_.n_heads; ++head) {
        const size_t at = head * dim;
        const float* q = queries() + row * width_ + at;
        float weights[kAudioWindow];  // by distance: itself first
        for (size_t distance = 0; distance <= n_past; ++distance) {
            weights[distance] = biased_dot(q, keys() + (newest - distance) * width_ + at,
                                           distances + distance * width_ + at, dim);
        }
        vector_.soft_cap(weights, weights, n_past + 1, kAudioLogitCap);
        const float sum = vector_.softmax_exp(weights, n_past + 1);
        float* out = ws_.normed + row * width_ + at;
        std::fill_n(out, dim, 0.0F);
        for (size_t distance = 0; distance <= n_past; ++distance) {
            vector_.axpy(values() + (newest - distance) * width_ + at, out, dim,
                         weights[distance] / sum);
        }
    }
}

void Pass::attention(size_t index) {
    const AudioLayer& layer = weights_.layers[index];
    const size_t n_past = kPastKeys * width_;
    float* past_keys = ws_.past_keys + index * n_past;
    float* past_values = ws_.past_values + index * n_past;
    const TowerJob jobs[] = {{&layer.q, queries(), width_},
                             {&layer.k, keys() + n_past, width_},
                             {&layer.v, values() + n_past, width_}};
    tower_linear(compute_, jobs, ws_.normed, width_, n_);  // [n, width] x 3
    scale_heads(queries(), layer.q_scale);
    scale_heads(keys() + n_past, layer.k_scale);
    std::copy_n(past_keys, n_past, keys());
    std::copy_n(past_values, n_past, values());
    tower_rows(compute_, n_, [&](size_t row, size_t) { attend(row, index); });  // normed [n, width]
    std::copy_n(keys() + n_ * width_, n_past, past_keys);
    std::copy_n(values() + n_ * width_, n_past, past_values);
    tower_linear(compute_, layer.o, ws_.normed, ws_.branch, n_);  // [n, width]
}

void Pass::convolution(size_t index) {
    const AudioLayer& layer = weights_.layers[index];
    const size_t n_past = kPastTaps * width_;
    float* past = ws_.past_gated + index * n_past;
    norm(layer.pre_conv_norm);                                           // normed [n, width]
    tower_linear(compute_, layer.conv_start, ws_.normed, ws_.wide, n_);  // [n, 2 width]
    std::copy_n(past, n_past, gated());
    tower_rows(compute_, n_, [&](size_t row, size_t) {
        const float* unit = ws_.wide + row * 2 * width_;
        vector_.sigmoid_mul(unit, unit + width_, gated() + n_past + row * width_, width_);
    });
    std::copy_n(gated() + n_ * width_, n_past, past);
    tower_rows(compute_, n_, [&](size_t row, size_t) {
        const float* in = gated() + row * width_;
        float* out = ws_.normed + row * width_;
        for (size_t i = 0; i < width_; ++i) out[i] = in[i] * layer.taps[i];
        for (size_t tap = 1; tap < kAudioTaps; ++tap) {
            const float* x = in + tap * width_;
            const float* weight = layer.taps + tap * width_;
            for (size_t i = 0; i < width_; ++i) out[i] += x[i] * weight[i];
        }
        vector_.rms_norm(out, layer.conv_norm, out, width_, kAudioEps);
        vector_.sigmoid_mul(out, out, out, width_);
    });
    tower_linear(compute_, layer.conv_end, ws_.normed, ws_.branch, n_);  // [n, width]
    tower_rows(compute_, n_, [&](size_t row, size_t) {
        vector_.axpy(ws_.branch + row * width_, ws_.hidden + row * width_, width_, 1.0F);
    });
}

void Pass::run_layer(size_t index) {
    const AudioLayer& layer = weights_.layers[index];
    half_ffn(layer.first);                        // hidden [n, width]
    norm(layer.pre_attention_norm);               // normed [n, width]
    attention(index);                             // branch [n, width]
    add_normed(layer.post_attention_norm, 1.0F);  // hidden [n, width]
    convolution(index);                           // hidden [n, width]
    half_ffn(layer.second);                       // hidden [n, width]
    output_norm(layer.output_norm);               // hidden [n, width]
}

void Pass::run() {
    tower_linear(compute_, weights_.input, ws_.subsampled(), ws_.hidden, n_);  // [n, width]
    for (size_t i = 0; i < weights_.layers.size(); ++i) {
        if (compute_.pause != nullptr && compute_.pause->stop()) return;
        run_layer(i);  // hidden [n, width]
    }
    const size_t out_width = config_.output_width;
    tower_linear(compute_, weights_.output, ws_.hidden, ws_.encoded(), n_);  // [n, output_width]
    tower_rows(compute_, n_, [&](size_t row, size_t) {
        vector_.axpy(weights_.output_bias, ws_.encoded() + row * out_width, out_width, 1.0F);
    });
}

}  // namespace

void run_conformer(const TowerCompute& compute, const AudioModel& model, AudioWorkspace& workspace,
                   size_t n) noexcept {
    Pass(compute, model, workspace, n).run();
}

void prepare_distances(const TowerCompute& compute, const AudioModel& model,
                       AudioWorkspace& workspace) noexcept {
    const size_t width = model.config.width;
    const size_t half = width / 2;
    const double step = std::log(10000.0) / static_cast<double>(std::max<size_t>(half, 2) - 1);
    for (size_t i = 0; i < half; ++i) {
        const double frequency = std::exp(-static_cast<double>(i) * step);
        for (size_t distance = 0; distance < kAudioWindow; ++distance) {
            const double angle = static_cast<double>(distance) * frequency;
            float* code = workspace.normed + distance * width;
            code[i] = static_cast<float>(std::sin(angle));
            code[half + i] = static_cast<float>(std::cos(angle));
        }
    }
    for (size_t i = 0; i < model.weights.layers.size(); ++i) {
        tower_linear(compute, model.weights.layers[i].distance, workspace.normed,
                     workspace.distances + i * kAudioWindow * width, kAudioWindow);
    }
}

}  // namespace gemlet
