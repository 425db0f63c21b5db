// Sizes follow from the configuration and the number of soft tokens computed at once.
#include "core/audio/audio_workspace.h"

#include <algorithm>

#include "core/tower/tower_linear.h"

namespace gemlet {

AudioStrip AudioWorkspace::strip(const AudioConfig& config) const {
    const size_t n = std::min(kStripTokens, max_soft);
    const size_t channels = config.first_channels;
    const size_t first_in = 2 * n * kFirstBins * 9;
    const size_t first_out = 2 * n * kFirstBins * channels;
    const size_t plane = (1 + 2 * n) * (1 + kFirstBins) * channels;
    const size_t second_in = n * kSecondBins * 9 * channels;
    const size_t n_floats = first_in + first_out + plane + second_in;
    if (wide == nullptr) return {nullptr, nullptr, nullptr, nullptr, n_floats};  // being planned
    float* at = wide;
    return {at, at + first_in, at + first_in + first_out, at + first_in + first_out + plane,
            n_floats};
}

void AudioWorkspace::plan(const AudioConfig& config, const AudioShape& shape,
                          const Kernels& kernels, MemoryPlan& plan) {
    const size_t width = config.width;
    const size_t n = shape.max_soft;
    max_soft = n;
    size_t most_packed = tower_packed_bytes(kernels, n, config.output_width);
    size_t widest = config.output_width;
    if (config.kind == AudioKind::embedder) {
        plan.add("audio: frames", &wide, n * config.output_width);
    }
    if (config.kind == AudioKind::conformer) {
        const size_t channels = config.first_channels;
        const size_t strip = std::min(kStripTokens, n);
        const size_t conv_columns = 9 * channels;
        plan.add("audio: frames of unfinished tokens", &frames,
                 kFramesPerToken * config.frame_width);
        plan.add("audio: positions before", &past_keys, config.n_layers * kPastKeys * width);
        plan.add("audio: positions before", &past_values, config.n_layers * kPastKeys * width);
        plan.add("audio: positions before", &past_gated, config.n_layers * kPastTaps * width);
        plan.add("audio: positions before", &past_plane, (1 + kFirstBins) * channels);
        plan.add("audio: residual stream", &hidden, n * width);
        plan.add("audio: branch", &branch, n * std::max(width, config.subsampled_width()));
        const size_t attention = n * width + 2 * (kPastKeys + n) * width;
        const size_t convolution = n * 2 * width + (kPastTaps + n) * width;
        plan.add("audio: feed-forward", &wide,
                 std::max({n * config.ffn_width, attention, convolution,
                           this->strip(config).n_floats, n * config.output_width}));
        plan.add("audio: distances", &distances, config.n_layers * kAudioWindow * width);
        most_packed = std::max({most_packed, tower_packed_bytes(kernels, 2 * strip * kFirstBins, 9),
                                tower_packed_bytes(kernels, strip * kSecondBins, conv_columns),
                                tower_packed_bytes(kernels, n, config.subsampled_width()),
                                tower_packed_bytes(kernels, std::max(n, kAudioWindow), width),
                                tower_packed_bytes(kernels, n, config.ffn_width)});
        widest =
            std::max({widest, width, config.ffn_width, config.subsampled_width(), conv_columns});
    }
    // The opening computes distances in it: kAudioWindow rows.
    plan.add("audio: inputs", &normed,
             std::max(n, kAudioWindow) * std::max(width, config.output_width));
    plan.add("audio: packed inputs", &packed, most_packed);
    scratch_bytes = tower_scratch_bytes(kernels, widest);
    scratch_bytes = (scratch_bytes + kPlanAlign - 1) / kPlanAlign * kPlanAlign;
    plan.add("audio: scratch of the workers", &scratch, shape.n_workers * scratch_bytes);
}

void AudioWorkspace::reset(const AudioConfig& config) noexcept {
    n_waiting = 0;
    n_tokens = 0;
    if (config.kind == AudioKind::embedder) return;
    std::fill_n(frames, config.frame_width, 0.0F);
    // Earlier keys and values need no clearing: positions before the first are never looked at.
    std::fill_n(past_gated, config.n_layers * kPastTaps * config.width, 0.0F);
    std::fill_n(past_plane, (1 + kFirstBins) * config.first_channels, 0.0F);
}

}  // namespace gemlet
