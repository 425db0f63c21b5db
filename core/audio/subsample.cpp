// Two convolutions of 3 x 3 points, stride 2 in time and frequency, each followed by a LayerNorm
// over the channels and ReLU. Each is a matrix product over points; a strip of tokens goes through
// both before the next begins. Token t needs frames 4t - 3 .. 4t + 3, so a strip carries one row of
// the first convolution's output over to the next.
// Source: Gemma4AudioSubSampleConvProjection of the reference implementation.
#include <algorithm>
#include <cmath>

#include "core/audio/encode.h"
#include "core/audio/lanes.h"

namespace gemlet {
namespace {

constexpr size_t kKernelSide = 3;
constexpr size_t kKernel = kKernelSide * kKernelSide;

/// LayerNorm without bias, then ReLU. Sums in the canonical order, without fused steps.
void norm_relu(const float* x, const float* weight, float* out, size_t n) {
    float sums[kLanes] = {};
    for_lanes(n, [&](size_t i, size_t lane) { sums[lane] += x[i]; });
    const float mean = canonical_tree(sums) / static_cast<float>(n);
    float squares[kLanes] = {};
    for_lanes(n, [&](size_t i, size_t lane) {
        const float distance = x[i] - mean;
        squares[lane] += distance * distance;
    });
    const float variance = canonical_tree(squares) / static_cast<float>(n);
    const float factor = 1.0F / std::sqrt(variance + kAudioEps);
    for (size_t i = 0; i < n; ++i) {
        out[i] = std::max((x[i] - mean) * factor * weight[i], 0.0F);
    }
}

/// The subsampling of one piece.
class Strips {
  public:
    Strips(const TowerCompute& compute, const AudioModel& model, AudioWorkspace& workspace,
           const SoundPiece& piece)
        : compute_(compute),
          config_(model.config),
          weights_(model.weights),
          ws_(workspace),
          strip_(workspace.strip(model.config)),
          piece_(piece),
          n_known_(1 + workspace.n_waiting) {}
    void run(size_t first, size_t n);

  private:
    const float* frame(size_t index) const;
    void first_stage(size_t first, size_t n_rows, size_t n_present);
    void second_stage(size_t n, float* out);

    const TowerCompute& compute_;
    const AudioConfig& config_;
    const AudioWeights& weights_;
    AudioWorkspace& ws_;
    AudioStrip strip_;
    const SoundPiece& piece_;
    size_t n_known_;
};

/// Frame by its distance from the last one of the tokens before the piece; null behind the end.
const float* Strips::frame(size_t index) const {
    if (index < n_known_) return ws_.frames + index * kMelBins;
    index -= n_known_;
    return index < piece_.n_frames ? piece_.frames + index * kMelBins : nullptr;
}

/// Rows 1 .. n_rows of the plane from frames `first` on. Those behind the end of the sound are
/// padding of the second stage: zeros.
void Strips::first_stage(size_t first, size_t n_rows, size_t n_present) {
    const size_t channels = config_.first_channels;
    tower_rows(compute_, n_present, [&](size_t row, size_t) {
        float* out = strip_.first_in + row * kFirstBins * kKernel;
        for (size_t dt = 0; dt < kKernelSide; ++dt) {
            const float* bins = frame(first + 2 * row + dt);
            for (size_t f = 0; f < kFirstBins; ++f) {
                float* to = out + f * kKernel + dt * kKernelSide;
                to[0] = bins != nullptr && f > 0 ? bins[2 * f - 1] : 0.0F;
                to[1] = bins != nullptr ? bins[2 * f] : 0.0F;
                to[2] = bins != nullptr ? bins[2 * f + 1] : 0.0F;
            }
        }
    });
    tower_linear(compute_, weights_.first_conv, strip_.first_in, strip_.first_out,
                 n_present * kFirstBins);  // [n_present, kFirstBins, channels]
    tower_rows(compute_, n_rows, [&](size_t row, size_t) {
        float* out = strip_.plane + (1 + row) * (1 + kFirstBins) * channels;
        std::fill_n(out, channels, 0.0F);  // frequency -1
        out += channels;
        if (row >= n_present) {
            std::fill_n(out, kFirstBins * channels, 0.0F);
            return;
        }
        const float* in = strip_.first_out + row * kFirstBins * channels;
        for (size_t f = 0; f < kFirstBins; ++f) {
            norm_relu(in + f * channels, weights_.first_norm, out + f * channels, channels);
        }
    });
}

void Strips::second_stage(size_t n, float* out) {
    const size_t channels = config_.first_channels;
    const size_t run = kKernelSide * channels;  // neighbours in frequency lie side by side
    const size_t n_out = config_.second_channels;
    tower_rows(compute_, n, [&](size_t row, size_t) {
        for (size_t f = 0; f < kSecondBins; ++f) {
            float* to = strip_.second_in + (row * kSecondBins + f) * kKernel * channels;
            for (size_t dt = 0; dt < kKernelSide; ++dt) {
                const size_t at = (2 * row + dt) * (1 + kFirstBins) + 2 * f;
                std::copy_n(strip_.plane + at * channels, run, to + dt * run);
            }
        }
    });
    tower_linear(compute_, weights_.second_conv, strip_.second_in, out,
                 n * kSecondBins);  // [n, kSecondBins, second_channels]
    tower_rows(compute_, n, [&](size_t row, size_t) {
        float* points = out + row * config_.subsampled_width();
        for (size_t f = 0; f < kSecondBins; ++f) {
            norm_relu(points + f * n_out, weights_.second_norm, points + f * n_out, n_out);
        }
    });
}

/// Tokens first .. first + n - 1 of the piece.
void Strips::run(size_t first, size_t n) {
    // Of the frames after frame(first * 4), the last of the token before.
    const size_t n_frames = n_known_ - 1 + piece_.n_frames - first * kFramesPerToken;
    const size_t n_rows = 2 * n;
    const size_t plane_row = (1 + kFirstBins) * config_.first_channels;
    std::copy_n(ws_.past_plane, plane_row, strip_.plane);
    first_stage(first * kFramesPerToken, n_rows, std::min(n_rows, (n_frames + 1) / 2));
    second_stage(n, ws_.subsampled() + first * config_.subsampled_width());
    std::copy_n(strip_.plane + n_rows * plane_row, plane_row, ws_.past_plane);
}

}  // namespace

void subsample(const TowerCompute& compute, const AudioModel& model, AudioWorkspace& workspace,
               const SoundPiece& piece, size_t n) noexcept {
    Strips strips(compute, model, workspace, piece);
    for (size_t first = 0; first < n; first += kStripTokens) {
        strips.run(first, std::min(kStripTokens, n - first));
    }
}

}  // namespace gemlet
