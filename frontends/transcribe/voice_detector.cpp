// Speech stands out of steady noise in some bands at a time: formants and fricatives. So the power
// of each of 18 bands is compared with that band's own floor, and the strength of a frame is the
// mean excess of its strongest bands, in dB: no gain changes it. The floor of a band is the lowest
// smooth power in the seconds around (minimum statistics, Martin 2001, without its bias model: the
// thresholds below hold the bias). Speech itself leaves a band alone several times a second, so the
// floor holds through a long sentence; the part of the window that lies ahead makes it hold when a
// recording begins with speech.
// Hysteresis: a stretch above the low threshold counts where it rises above the high one for a
// while.
#include "frontends/transcribe/voice_detector.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace gemlet {
namespace {

constexpr size_t kWindow = audio::kFftSize;
constexpr size_t kLead = (kWindow - kVoiceFrameSamples) / 2;  // the window is centred on its frame
constexpr size_t kNearFrames = 3;      // neighbours on each side of a smooth one
constexpr size_t kAheadFrames = 30;    // of the floor's window, after the frame
constexpr size_t kBlockFrames = 25;    // the floor's window moves in blocks
constexpr size_t kFloorBlocks = 20;    // 5 s in all
constexpr size_t kPeakBlocks = 60;     // 15 s
constexpr size_t kConfirmFrames = 15;  // looked at before a stretch counts
constexpr size_t kStrongFrames = 4;    // of these must rise above the high threshold
constexpr size_t kStrongestBands = 8;  // which make the strength
constexpr float kHighDb = 8.0F;
constexpr float kLowDb = 5.2F;
constexpr float kDepthDb = 42.0F;       // below the recent peak nothing is speech
constexpr float kSilentPower = 2e-11F;  // of a band: rounding of 16-bit samples
constexpr float kLowestHz = 120.0F;
constexpr float kHighestHz = 7000.0F;

float decibels(float power) { return 10.0F * std::log10(power); }

/// The first bin of each band and the end of the last: equal steps on the mel scale.
std::array<size_t, VoiceDetector::kBands + 1> band_edges() {
    const auto mel = [](float hz) { return std::log1p(hz / 700.0F); };
    std::array<size_t, VoiceDetector::kBands + 1> edges = {};
    const float step = (mel(kHighestHz) - mel(kLowestHz)) / VoiceDetector::kBands;
    for (size_t i = 0; i < edges.size(); ++i) {
        const float hz = 700.0F * std::expm1(mel(kLowestHz) + step * static_cast<float>(i));
        const float bin = hz * kWindow / kSpeechRateHz;
        edges[i] = static_cast<size_t>(std::lround(bin));
        if (i > 0) edges[i] = std::max(edges[i], edges[i - 1] + 1);
    }
    return edges;
}

}  // namespace

VoiceDetector::VoiceDetector()
    : window_(kWindow), windowed_(kWindow), edges_(band_edges()), pending_(kLead, 0.0F) {
    constexpr double kTurn = 2.0 * std::numbers::pi / kWindow;
    for (size_t i = 0; i < kWindow; ++i) {
        window_[i] = static_cast<float>(0.5 - 0.5 * std::cos(kTurn * static_cast<double>(i)));
    }
}

/// Measures the bands of the next frame; its window stands at the front of pending_.
void VoiceDetector::take_window() {
    for (size_t i = 0; i < kWindow; ++i) windowed_[i] = pending_[i] * window_[i];
    fft_.magnitudes(windowed_, magnitudes_);
    Measured frame;
    for (size_t band = 0; band < kBands; ++band) {
        double sum = 0;
        for (size_t bin = edges_[band]; bin < edges_[band + 1]; ++bin) {
            sum += magnitudes_[bin] * magnitudes_[bin];
        }
        // So that the level of a full-scale sine is about 0 dB.
        frame.power[band] = static_cast<float>(sum * 4 / (kWindow * kWindow));
    }
    frames_.push_back(frame);
    ++n_spectra_;
}

void VoiceDetector::smooth_frame(size_t index) {
    const size_t from = std::max(index, first_ + kNearFrames) - kNearFrames;
    const size_t to = std::min(index + kNearFrames + 1, n_spectra_);
    Measured& frame = frames_[index - first_];
    for (size_t band = 0; band < kBands; ++band) {
        float sum = 0;
        for (size_t i = from; i < to; ++i) sum += frames_[i - first_].power[band];
        frame.smooth[band] = sum / static_cast<float>(to - from) + kSilentPower;
    }
    float total = 0;
    for (const float power : frame.smooth) total += power;
    frame.level_db = decibels(total);
}

void VoiceDetector::note_floor(size_t index) {
    const Measured& frame = frames_[index - first_];
    if (floor_frames_ == 0 || floor_frames_ == kBlockFrames) {
        floor_blocks_.push_back(frame.smooth);
        peak_blocks_.push_back(frame.level_db);
        floor_frames_ = 0;
        if (floor_blocks_.size() > kFloorBlocks) floor_blocks_.pop_front();
        if (peak_blocks_.size() > kPeakBlocks) peak_blocks_.pop_front();
    }
    ++floor_frames_;
    Bands& lowest = floor_blocks_.back();
    for (size_t band = 0; band < kBands; ++band) {
        lowest[band] = std::min(lowest[band], frame.smooth[band]);
    }
    peak_blocks_.back() = std::max(peak_blocks_.back(), frame.level_db);
}

VoiceDetector::Bands VoiceDetector::floor_now() const {
    Bands lowest = floor_blocks_.front();
    for (const Bands& block : floor_blocks_) {
        for (size_t band = 0; band < kBands; ++band) {
            lowest[band] = std::min(lowest[band], block[band]);
        }
    }
    return lowest;
}

void VoiceDetector::measure_frame(size_t index) {
    Measured& frame = frames_[index - first_];
    const Bands lowest = floor_now();
    Bands excess;
    for (size_t band = 0; band < kBands; ++band) {
        excess[band] = decibels(frame.smooth[band] / lowest[band]);
    }
    std::nth_element(excess.begin(), excess.begin() + kStrongestBands, excess.end(),
                     std::greater<>());
    float sum = 0;
    for (size_t i = 0; i < kStrongestBands; ++i) sum += excess[i];
    frame.strength_db = sum / static_cast<float>(kStrongestBands);
    const float peak = *std::max_element(peak_blocks_.begin(), peak_blocks_.end());
    if (frame.level_db < peak - kDepthDb) frame.strength_db = 0;
}

/// Decides every frame below `n_decidable`; looks at measured frames beyond.
void VoiceDetector::decide(size_t n_decidable, std::vector<VoiceFrame>& out) {
    for (; n_decided_ < n_decidable; ++n_decided_) {
        const Measured& frame = frames_[n_decided_ - first_];
        if (frame.strength_db < kLowDb) {
            speaking_ = false;
        } else if (!speaking_) {
            size_t n_strong = 0;
            const size_t end = std::min(n_decided_ + kConfirmFrames, n_measured_);
            for (size_t i = n_decided_; i < end; ++i) {
                const float strength = frames_[i - first_].strength_db;
                if (strength < kLowDb) break;
                if (strength >= kHighDb) ++n_strong;
            }
            speaking_ = n_strong >= kStrongFrames;
        }
        out.push_back({frame.strength_db, frame.level_db, speaking_});
    }
}

void VoiceDetector::drop_decided() {
    while (first_ + kNearFrames < n_decided_) {
        frames_.pop_front();
        ++first_;
    }
}

void VoiceDetector::push(std::span<const float> samples, std::vector<VoiceFrame>& out) {
    n_samples_ += samples.size();
    while (!samples.empty()) {
        const size_t n = std::min(samples.size(), kWindow - pending_.size());
        pending_.insert(pending_.end(), samples.begin(),
                        samples.begin() + static_cast<ptrdiff_t>(n));
        samples = samples.subspan(n);
        if (pending_.size() < kWindow) break;
        take_window();
        pending_.erase(pending_.begin(), pending_.begin() + kVoiceFrameSamples);
        for (; n_smooth_ + kNearFrames < n_spectra_; ++n_smooth_) {
            smooth_frame(n_smooth_);
            note_floor(n_smooth_);
            if (n_smooth_ >= kAheadFrames) measure_frame(n_measured_++);
        }
        if (n_measured_ > kConfirmFrames) decide(n_measured_ - kConfirmFrames, out);
        drop_decided();
    }
}

void VoiceDetector::finish(std::vector<VoiceFrame>& out) {
    const size_t n_frames = (n_samples_ + kVoiceFrameSamples - 1) / kVoiceFrameSamples;
    while (n_spectra_ < n_frames) {
        pending_.resize(kWindow, 0.0F);
        take_window();
        pending_.erase(pending_.begin(), pending_.begin() + kVoiceFrameSamples);
    }
    for (; n_smooth_ < n_spectra_; ++n_smooth_) {
        smooth_frame(n_smooth_);
        note_floor(n_smooth_);
    }
    while (n_measured_ < n_spectra_) measure_frame(n_measured_++);
    decide(n_measured_, out);
    *this = VoiceDetector();
}

}  // namespace gemlet
