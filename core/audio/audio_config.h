// Hyper-parameters of an audio encoder, with every default filled in and every number checked,
// whether they came from config.json or from GGUF metadata.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/files/gguf.h"
#include "core/json.h"
#include "core/status.h"

namespace gemlet {

enum class AudioKind : uint8_t {
    conformer,  // E2B, E4B: frames are log-mel bins, 10 ms apart
    embedder,   // 12B: frames are 640 samples each
};

// Fixed by the architecture; no GGUF file says so, and a config.json that says otherwise is
// refused.
constexpr size_t kMelBins = 128;
constexpr size_t kAudioSampleRate = 16000;     // Hz
constexpr size_t kSamplesPerAudioToken = 640;  // 40 ms
constexpr size_t kAudioWindow = 12;            // positions a position sees, itself the last
constexpr size_t kAudioTaps = 5;               // of the depthwise convolution
constexpr size_t kFramesPerToken = 4;          // mel frames of a soft token
constexpr float kAudioEps = 1e-6F;
constexpr float kAudioLogitCap = 50.0F;
/// Mel frames, soft tokens and samples of 30 seconds: the longest sound a message may hold.
constexpr size_t kMaxMelFrames = 2999;
constexpr size_t kMaxAudioTokens = 750;
constexpr size_t kMaxSamples = 480000;
/// The fewest samples that give a soft token of the conformer.
constexpr size_t kLeastSamples = 161;

struct AudioConfig {
    AudioKind kind = AudioKind::conformer;
    size_t frame_width = kMelBins;  // values of a frame: mel bins, or samples
    size_t width = 0;               // conformer only, here to output_width
    size_t n_layers = 0;
    size_t n_heads = 0;
    size_t ffn_width = 0;
    size_t first_channels = 128;  // of the two convolutions
    size_t second_channels = 32;
    size_t output_width = 0;  // before the projector; embedder: frame_width
    size_t text_width = 0;

    size_t head_dim() const { return n_heads == 0 ? 0 : width / n_heads; }
    /// Values of a position after the two convolutions, each of which halves the frequencies.
    size_t subsampled_width() const { return kMelBins / kFramesPerToken * second_channels; }
    /// Frames of a soft token.
    size_t frames_per_token() const { return kind == AudioKind::conformer ? kFramesPerToken : 1; }
    /// Soft tokens of n frames that stand alone; the last one may be of fewer frames.
    size_t soft_tokens(size_t n_frames) const {
        return (n_frames + frames_per_token() - 1) / frames_per_token();
    }
    /// Frames of 30 seconds.
    size_t longest_frames() const {
        return kind == AudioKind::conformer ? kMaxMelFrames : kMaxAudioTokens;
    }
};

/// Reads the audio part of config.json. Errors: `not_found` when the model has none, `corrupt` or
/// `unsupported` naming the key.
Result<AudioConfig> audio_config_from_json(const Json& document, size_t text_width);
/// Reads `clip.*` metadata of an mmproj file, or `gemma4.audio.*` of a model with its encoder in
/// the same file; channels and output width come from the tensors. Errors: the same.
Result<AudioConfig> audio_config_from_gguf(const GgufFile& file, size_t text_width);

}  // namespace gemlet
