// A recording to pieces that a model can take: cut at pauses, never longer than a limit, with
// times.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "core/status.h"
#include "frontends/transcribe/voice_detector.h"

namespace gemlet {

constexpr double kLongestPieceSeconds = 30;
constexpr double kShortestPieceLimitSeconds = 5;

struct SegmenterOptions {
    double max_seconds = kLongestPieceSeconds;  // 5 to 30: no piece is longer, its margins included
    double pause_seconds = 0.5;                 // a pause this long ends a piece; 0.2 to 5
    double overlap_seconds = 1.0;               // at a forced cut; below half of max_seconds
    bool find_pauses = true;                    // false: all counts as speech, cut at the limit
};

/// Errors: `bad_argument` naming the option that is out of its range.
Status check_segmenter_options(const SegmenterOptions& options);

/// Samples [begin, end) of a recording, or of a piece.
struct SampleRange {
    size_t begin = 0;
    size_t end = 0;

    size_t size() const { return end - begin; }
    friend bool operator==(const SampleRange&, const SampleRange&) = default;
};

/// One piece of a recording.
struct Piece {
    size_t index = 0;    // 0, 1, 2 ..
    SampleRange range;   // with margins, in the recording
    SampleRange speech;  // from the first to the last voiced frame in it, in the recording
    std::vector<SampleRange> voiced;  // in the recording, ascending
    // The cut at this side fell into speech: the neighbour has part of the same sound.
    bool forced_begin = false;
    bool forced_end = false;
    float loudness_db = 0;  // mean level of the voiced frames
    float mean_strength_db = 0;
    std::vector<float> samples;  // of `range`

    double begin_seconds() const { return static_cast<double>(speech.begin) / kSpeechRateHz; }
    double end_seconds() const { return static_cast<double>(speech.end) / kSpeechRateHz; }
    double voiced_seconds() const;
};

/// Splits a piece in two at its longest pause near the middle, or at its weakest frame there when
/// it has none (then the halves overlap and the cut counts as forced). Returns an empty vector for
/// a piece too short to be worth it (below two seconds).
std::vector<Piece> split_piece(const Piece& piece);

/// Streaming: samples in, pieces out. One thread. Holds at most a piece and its margins.
class Segmenter {
  public:
    /// The options have been checked.
    explicit Segmenter(const SegmenterOptions& options);

    /// Takes samples and appends the pieces that are complete now.
    void push(std::span<const float> samples, std::vector<Piece>& out);
    /// Ends the recording: appends what is left.
    void finish(std::vector<Piece>& out);

    /// Samples taken so far.
    size_t position() const { return n_samples_; }
    /// A piece has begun and its end is not found yet.
    bool open() const { return open_; }
    /// The open piece as it stands, with everything that has come in. `open()` must hold.
    Piece draft() const;

  private:
    struct Cut {
        SampleRange pause;  // in frames; empty where the cut is forced: the weakest frame
        bool forced() const { return pause.begin == pause.end; }
    };

    void take_frame(const VoiceFrame& frame, std::vector<Piece>& out);
    Cut best_cut() const;
    void close_at_pause(size_t pause_end, std::vector<Piece>& out);
    void cut_long_piece(std::vector<Piece>& out);
    void emit(SampleRange range, SampleRange frames, bool forced_end, std::vector<Piece>& out);
    Piece make(SampleRange range, SampleRange frames) const;
    size_t begin_sample() const;
    void forget();
    const VoiceFrame& frame(size_t index) const { return frames_[index - base_frame_]; }

    SegmenterOptions options_;
    size_t max_frames_;  // of the speech of a piece, its margins apart
    size_t pause_frames_;
    VoiceDetector detector_;
    std::vector<VoiceFrame> decided_;

    std::deque<float> samples_;  // from base_sample_ on
    size_t base_sample_ = 0;
    size_t n_samples_ = 0;
    std::deque<VoiceFrame> frames_;  // from base_frame_ on
    size_t base_frame_ = 0;
    size_t n_frames_ = 0;

    bool open_ = false;
    bool forced_begin_ = false;
    size_t first_voiced_ = 0;     // frame where the open piece's speech begins
    size_t last_voiced_ = 0;      // its last voiced frame so far
    size_t earliest_sample_ = 0;  // margins begin here at the earliest
    size_t n_pieces_ = 0;
};

}  // namespace gemlet
