// Sound to what the audio encoder of E2B and E4B takes: 128 logarithms of energies every 10 ms.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/status.h"
#include "frontends/audio/real_fft.h"

namespace gemlet::audio {

inline constexpr double kSoundRate = 16000;  // samples a second, everywhere behind the reader
inline constexpr size_t kMelBands = 128;
inline constexpr size_t kMelHop = 160;     // samples from frame to frame
inline constexpr size_t kMelWindow = 320;  // samples that a frame covers
/// The longest clip the encoders were trained for: 30 s.
inline constexpr size_t kMaxClipSamples = 480000;

/// Returns the number of mel frames of n_samples: floor((n_samples - 1) / 160), 0 for none.
size_t mel_frames(size_t n_samples);

/// Returns the number of soft tokens that the encoder makes of n_samples: ceil(ceil(frames/2)/2).
/// Not capped at 30 s. Fewer than 161 samples give none.
size_t soft_tokens_of(size_t n_samples);

/// Turns a stream of samples into log-mel frames. A frame is final as soon as it can be had: after
/// n samples exactly mel_frames(n) frames have been given, however they were pushed, so there is
/// nothing left to ask for at the end. Allocates only in create().
/// Threads: one at a time. Source: audio.md 2.2 and 2.3.
class MelExtractor {
  public:
    /// Errors: `out_of_memory`.
    static Result<MelExtractor> create();

    /// Returns how many frames the next push of n_samples will give: at most n_samples / 160 + 1.
    size_t frames_after(size_t n_samples) const;

    /// Takes samples (any number) and writes the frames that became final; returns how many.
    /// Shapes: frames [frames_after(samples.size()) or more, kMelBands], row-major.
    /// Values: ln(energy + 0.001); energies of amplitudes within [-1, 1] stay below 3000.
    /// Aliasing: none. Samples must be finite. No allocation.
    size_t push(std::span<const float> samples, std::span<float> frames);

    /// Forgets all samples; the next push begins a new clip.
    void reset();

  private:
    // A triangle over neighbouring bins: its weights are weights_[first_weight ..].
    struct Filter {
        uint16_t first_bin = 0;
        uint16_t n_bins = 0;
        uint16_t first_weight = 0;
    };

    MelExtractor();
    void make_filters();
    void emit(std::span<float> frame);

    RealFft fft_;
    std::array<float, kMelWindow> hann_;
    std::array<Filter, kMelBands> filters_;
    std::vector<double> weights_;
    // The samples of the frame in the making; those before the first sample are zeros. Beyond the
    // window one more, without which a frame does not count.
    std::array<float, kMelWindow + 1> recent_;
    size_t n_recent_ = 0;
    std::array<float, kMelWindow> windowed_;
    std::array<double, kFftBins> magnitudes_;
};

/// All frames of a clip: [mel_frames(samples.size()), kMelBands]. Errors: `out_of_memory`.
Result<std::vector<float>> log_mel(std::span<const float> samples);

}  // namespace gemlet::audio
