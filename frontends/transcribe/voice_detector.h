// Where somebody speaks: a decision every 10 ms from the short-time spectrum, against a noise floor
// that follows the recording.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "frontends/audio/real_fft.h"

namespace gemlet {

constexpr size_t kSpeechRateHz = 16000;
constexpr size_t kVoiceFrameSamples = 160;  // 10 ms
constexpr size_t kVoiceFramesPerSecond = kSpeechRateHz / kVoiceFrameSamples;

/// Frame i stands for samples [160 i, 160 i + 160).
struct VoiceFrame {
    float strength_db = 0;  // how far the spectrum stands out of the noise floor
    float level_db = 0;     // power of the speech bands, relative to full scale
    bool voiced = false;
};

/// Streaming detector over 16 kHz mono samples. One thread. Memory does not grow with the input.
class VoiceDetector {
  public:
    VoiceDetector();

    /// Takes samples and appends the frames that are decided now; a frame is decided about 0.5 s
    /// after its sound came in.
    void push(std::span<const float> samples, std::vector<VoiceFrame>& out);
    /// Ends the input: appends the frames that still wait, so that there are ceil(n / 160) of n
    /// samples, and starts anew.
    void finish(std::vector<VoiceFrame>& out);

    static constexpr size_t kBands = 18;
    using Bands = std::array<float, kBands>;

  private:
    struct Measured {
        Bands power = {};   // of this frame alone
        Bands smooth = {};  // mean over neighbours
        float strength_db = 0;
        float level_db = 0;
    };

    void take_window();
    void smooth_frame(size_t index);
    void note_floor(size_t index);
    Bands floor_now() const;
    void measure_frame(size_t index);
    void decide(size_t n_decidable, std::vector<VoiceFrame>& out);
    void drop_decided();

    std::vector<float> window_;             // [512] Hann
    std::vector<float> windowed_;           // [512]
    std::array<size_t, kBands + 1> edges_;  // first bin of each band
    audio::RealFft fft_;
    std::array<double, audio::kFftBins> magnitudes_ = {};
    std::vector<float> pending_;  // samples from the start of the next window on
    size_t n_samples_ = 0;        // taken in all, padding apart

    std::deque<Measured> frames_;  // from first_ on
    size_t first_ = 0;             // index of frames_[0]
    size_t n_spectra_ = 0;
    size_t n_smooth_ = 0;
    size_t n_measured_ = 0;
    size_t n_decided_ = 0;
    std::deque<Bands> floor_blocks_;  // lowest smooth power of each block of frames
    std::deque<float> peak_blocks_;   // highest level of each block
    size_t floor_frames_ = 0;         // in the last block
    bool speaking_ = false;
};

}  // namespace gemlet
