// Buffers of an audio encoder: what a run computes in, and what it remembers of the sound so far.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/audio/audio_config.h"
#include "core/memory/plan.h"
#include "kernels/kernels.h"

namespace gemlet {

/// Largest run a workspace can take.
struct AudioShape {
    size_t max_soft = kMaxAudioTokens;  // soft tokens computed at once
    size_t n_workers = 1;
};

/// Earlier positions that the attention and the depthwise convolution look back on.
constexpr size_t kPastKeys = kAudioWindow - 1;
constexpr size_t kPastTaps = kAudioTaps - 1;
/// Soft tokens subsampled at once: the first convolution's output is the largest buffer of all if
/// it is ever there as a whole.
constexpr size_t kStripTokens = 30;
/// Frequencies after the first and the second convolution.
constexpr size_t kFirstBins = kMelBins / 2;
constexpr size_t kSecondBins = kMelBins / 4;

/// Buffers of the subsampling of a strip. S = its tokens, C = first_channels.
struct AudioStrip {
    float* first_in;   // [2 S, kFirstBins, 9] inputs of each point
    float* first_out;  // [2 S, kFirstBins, C]
    float* plane;      // [1 + 2 S, 1 + kFirstBins, C] normed; row 0 from the strip before
    float* second_in;  // [S, kSecondBins, 9 C]
    size_t n_floats;   // of all
};

/// Row-major; M = soft tokens of a run, W = width, C = first_channels.
struct AudioWorkspace {
    // The sound so far. Frames: the last one that belongs to a finished token (zeros at first),
    // then those that wait for the rest of their token.
    float* frames = nullptr;       // [kFramesPerToken, frame_width]
    float* past_keys = nullptr;    // [layers, kPastKeys, W]
    float* past_values = nullptr;  // [layers, kPastKeys, W]
    float* past_gated = nullptr;   // [layers, kPastTaps, W]
    float* past_plane = nullptr;   // [1 + kFirstBins, C] of the first convolution's output
    size_t n_waiting = 0;          // frames
    size_t n_tokens = 0;           // finished

    // Layers.
    float* hidden = nullptr;  // [M, W] residual stream
    float* normed = nullptr;  // [M, max(W, output_width)] inputs of the next products
    float* branch = nullptr;  // [M, W] output of a branch before its norm
    // [M, ffn]; or queries [M, W], keys and values [kPastKeys + M, W]; or the unit and its gate
    // [M, 2 W], gated [kPastTaps + M, W]; or the buffers of a strip; at last the encoder's output.
    float* wide = nullptr;
    float* distances = nullptr;  // [layers, kAudioWindow, W] what keys gain by their distance
    uint8_t* packed = nullptr;   // packed inputs of the product being computed
    uint8_t* scratch = nullptr;  // [n_workers, scratch_bytes]
    size_t scratch_bytes = 0;
    size_t max_soft = 0;

    float* subsampled() const { return branch; }  // [M, subsampled_width]
    float* encoded() const { return wide; }       // [M, output_width]
    AudioStrip strip(const AudioConfig& config) const;

    /// Adds the buffers to a plan.
    void plan(const AudioConfig& config, const AudioShape& shape, const Kernels& kernels,
              MemoryPlan& plan);
    /// Forgets the sound so far.
    void reset(const AudioConfig& config) noexcept;
};

}  // namespace gemlet
