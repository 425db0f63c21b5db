// A pause ends a piece as soon as it is long enough. Speech that goes on to the limit is cut at the
// best shorter pause in its second half: long ones and late ones are better. Only where there is
// none the cut falls into speech, at the weakest moment; then both pieces get the sound around it,
// and the joiner finds the words that are in both. Short pieces are wanted, not merely allowed:
// their times are measured ones, several are decoded in one batch, and a mistake of the model stays
// inside one.
#include "frontends/transcribe/segmenter.h"

#include <algorithm>
#include <cmath>

namespace gemlet {
namespace {

constexpr size_t kMarginBefore = 20 * kVoiceFrameSamples;  // of silence around the speech
constexpr size_t kMarginAfter = 35 * kVoiceFrameSamples;
constexpr size_t kShortestPause = 8;  // frames: stops inside words are shorter
constexpr double kShortestSplitSeconds = 2.0;
constexpr double kSplitOverlapSeconds = 0.5;

size_t frames_of(double seconds) {
    return static_cast<size_t>(std::lround(seconds * kVoiceFramesPerSecond));
}

size_t samples_of(double seconds) {
    return static_cast<size_t>(std::lround(seconds * kSpeechRateHz));
}

/// The 10 ms block in samples [begin, end) around which the sound is weakest, as its first sample.
size_t weakest_block(std::span<const float> samples, SampleRange where) {
    constexpr size_t kBlock = kVoiceFrameSamples;
    constexpr size_t kAround = 4 * kBlock;
    size_t best = where.begin;
    double least = -1;
    for (size_t at = where.begin; at + kBlock <= where.end; at += kBlock) {
        const size_t from = std::max(at, kAround) - kAround;
        const size_t to = std::min(at + kBlock + kAround, samples.size());
        double power = 0;
        for (size_t i = from; i < to; ++i) {
            power += static_cast<double>(samples[i]) * static_cast<double>(samples[i]);
        }
        power /= static_cast<double>(to - from);
        if (least < 0 || power < least) {
            least = power;
            best = at;
        }
    }
    return best;
}

/// Part of a piece as a piece of its own; `range` lies inside.
Piece part_of(const Piece& piece, SampleRange range) {
    Piece part = piece;
    part.range = range;
    part.voiced.clear();
    for (const SampleRange& run : piece.voiced) {
        const SampleRange kept = {std::max(run.begin, range.begin), std::min(run.end, range.end)};
        if (kept.begin < kept.end) part.voiced.push_back(kept);
    }
    part.speech = part.voiced.empty()
                      ? range
                      : SampleRange{part.voiced.front().begin, part.voiced.back().end};
    const auto first = piece.samples.begin();
    part.samples.assign(first + static_cast<ptrdiff_t>(range.begin - piece.range.begin),
                        first + static_cast<ptrdiff_t>(range.end - piece.range.begin));
    return part;
}

/// The longest pause of a piece in its middle half; empty where there is none.
SampleRange middle_pause(const Piece& piece) {
    const size_t quarter = piece.range.size() / 4;
    SampleRange best;
    for (size_t i = 1; i < piece.voiced.size(); ++i) {
        const SampleRange pause = {piece.voiced[i - 1].end, piece.voiced[i].begin};
        const size_t middle = (pause.begin + pause.end) / 2;
        const bool central =
            middle >= piece.range.begin + quarter && middle + quarter <= piece.range.end;
        if (central && pause.size() >= kShortestPause * kVoiceFrameSamples &&
            pause.size() > best.size()) {
            best = pause;
        }
    }
    return best;
}

}  // namespace

Status check_segmenter_options(const SegmenterOptions& options) {
    const auto within = [](double value, double least, double most) {
        return value >= least && value <= most;  // false for a value that is no number
    };
    if (!within(options.max_seconds, kShortestPieceLimitSeconds, kLongestPieceSeconds)) {
        return {StatusCode::bad_argument, "must be 5 to 30", "longest piece in seconds"};
    }
    if (!within(options.pause_seconds, 0.2, 5)) {
        return {StatusCode::bad_argument, "must be 0.2 to 5", "pause in seconds"};
    }
    if (!within(options.overlap_seconds, 0, options.max_seconds / 4)) {
        return {StatusCode::bad_argument, "must be at most a quarter of a piece",
                "overlap in seconds"};
    }
    return {};
}

double Piece::voiced_seconds() const {
    size_t n = 0;
    for (const SampleRange& run : voiced) n += run.size();
    return static_cast<double>(n) / kSpeechRateHz;
}

std::vector<Piece> split_piece(const Piece& piece) {
    if (piece.range.size() < samples_of(kShortestSplitSeconds)) return {};
    std::vector<Piece> halves;
    if (const SampleRange pause = middle_pause(piece); pause.size() > 0) {
        const size_t middle = (pause.begin + pause.end) / 2;
        halves.push_back(part_of(piece, {piece.range.begin, middle}));
        halves.push_back(part_of(piece, {middle, piece.range.end}));
    } else {
        const size_t third = piece.samples.size() / 3;
        const size_t cut =
            piece.range.begin + weakest_block(piece.samples, {third, piece.samples.size() - third});
        const size_t around = samples_of(kSplitOverlapSeconds) / 2;
        halves.push_back(part_of(piece, {piece.range.begin, cut + around}));
        halves.push_back(part_of(piece, {cut - around, piece.range.end}));
        halves[0].forced_end = true;
        halves[1].forced_begin = true;
    }
    if (halves[0].voiced.empty() || halves[1].voiced.empty()) return {};
    halves[0].forced_end = halves[1].forced_begin;
    halves[1].forced_end = piece.forced_end;
    halves[0].forced_begin = piece.forced_begin;
    return halves;
}

Segmenter::Segmenter(const SegmenterOptions& options)
    : options_(options),
      max_frames_(frames_of(options.max_seconds) -
                  (kMarginBefore + kMarginAfter) / kVoiceFrameSamples),
      pause_frames_(frames_of(options.pause_seconds)) {}

/// Where the range of the open piece begins.
size_t Segmenter::begin_sample() const {
    const size_t speech = first_voiced_ * kVoiceFrameSamples;
    if (forced_begin_) return speech;
    return std::max(earliest_sample_, std::max(speech, kMarginBefore) - kMarginBefore);
}

/// `frames`: those of the speech in it.
Piece Segmenter::make(SampleRange range, SampleRange frames) const {
    Piece piece;
    piece.index = n_pieces_;
    piece.range = range;
    piece.forced_begin = forced_begin_;
    size_t n_voiced = 0;
    for (size_t i = frames.begin; i < frames.end; ++i) {
        if (!frame(i).voiced) continue;
        const size_t begin = i * kVoiceFrameSamples;
        const size_t end = std::min(begin + kVoiceFrameSamples, range.end);
        if (!piece.voiced.empty() && piece.voiced.back().end == begin) {
            piece.voiced.back().end = end;
        } else {
            piece.voiced.push_back({begin, end});
        }
        piece.loudness_db += frame(i).level_db;
        piece.mean_strength_db += frame(i).strength_db;
        ++n_voiced;
    }
    piece.speech = range;
    if (n_voiced > 0) {
        piece.speech = {piece.voiced.front().begin, piece.voiced.back().end};
        piece.loudness_db /= static_cast<float>(n_voiced);
        piece.mean_strength_db /= static_cast<float>(n_voiced);
    }
    const auto first = samples_.begin();
    piece.samples.assign(first + static_cast<ptrdiff_t>(range.begin - base_sample_),
                         first + static_cast<ptrdiff_t>(range.end - base_sample_));
    return piece;
}

void Segmenter::emit(SampleRange range, SampleRange frames, bool forced_end,
                     std::vector<Piece>& out) {
    Piece piece = make(range, frames);
    piece.forced_end = forced_end;
    out.push_back(std::move(piece));
    ++n_pieces_;
}

/// Ends the open piece at the pause that follows its last voiced frame; `pause_end` is the first
/// frame that is not known to belong to the pause.
void Segmenter::close_at_pause(size_t pause_end, std::vector<Piece>& out) {
    const size_t speech_end = (last_voiced_ + 1) * kVoiceFrameSamples;
    // A short pause is shared between the margins of both pieces.
    const size_t pause = pause_end * kVoiceFrameSamples - speech_end;
    const size_t margin = std::min(kMarginAfter, pause * 3 / 5);
    const SampleRange range = {begin_sample(), std::min(speech_end + margin, n_samples_)};
    emit(range, {first_voiced_, last_voiced_ + 1}, false, out);
    earliest_sample_ = range.end;
    forced_begin_ = false;
    open_ = false;
}

Segmenter::Cut Segmenter::best_cut() const {
    const size_t n = last_voiced_ + 1;
    const size_t from = first_voiced_ + (n - first_voiced_) / 2;
    Cut best;
    double most = 0;
    for (size_t i = from; i < n; ++i) {
        if (frame(i).voiced) continue;
        size_t begin = i;
        while (begin > first_voiced_ && !frame(begin - 1).voiced) --begin;
        size_t end = i;
        while (end < n && !frame(end).voiced) ++end;
        const double late =
            static_cast<double>(i - first_voiced_) / static_cast<double>(n - first_voiced_);
        const double worth = static_cast<double>(end - begin) * late;
        if (end - begin >= kShortestPause && worth > most) {
            most = worth;
            best.pause = {begin, end};
        }
        i = end;
    }
    if (!best.forced()) return best;
    const size_t to = n - std::min(n - from - 1, frames_of(options_.overlap_seconds) / 2 + 1);
    size_t weakest = from;
    for (size_t i = from; i < to; ++i) {
        if (frame(i).level_db < frame(weakest).level_db) weakest = i;
    }
    best.pause = {weakest, weakest};
    return best;
}

/// The open piece has reached the limit while somebody speaks; what remains is open afterwards.
void Segmenter::cut_long_piece(std::vector<Piece>& out) {
    const Cut cut = best_cut();
    const size_t still_last = last_voiced_;
    if (!cut.forced()) {
        last_voiced_ = cut.pause.begin - 1;
        close_at_pause(cut.pause.end, out);
        first_voiced_ = cut.pause.end;
    } else {
        const size_t around = frames_of(options_.overlap_seconds) / 2;
        const size_t end = cut.pause.begin + around;
        emit({begin_sample(), end * kVoiceFrameSamples}, {first_voiced_, end}, true, out);
        first_voiced_ = cut.pause.begin - around;
        earliest_sample_ = first_voiced_ * kVoiceFrameSamples;
        forced_begin_ = true;
    }
    last_voiced_ = still_last;
    open_ = true;
}

/// Forgets what no later piece can contain.
void Segmenter::forget() {
    const size_t next =
        open_ ? begin_sample()
              : std::max(earliest_sample_,
                         std::max(n_frames_ * kVoiceFrameSamples, kMarginBefore) - kMarginBefore);
    const size_t n = std::min(next - std::min(next, base_sample_), samples_.size());
    samples_.erase(samples_.begin(), samples_.begin() + static_cast<ptrdiff_t>(n));
    base_sample_ += n;
    const size_t oldest = open_ ? first_voiced_ : n_frames_;
    while (base_frame_ < oldest) {
        frames_.pop_front();
        ++base_frame_;
    }
}

void Segmenter::take_frame(const VoiceFrame& frame, std::vector<Piece>& out) {
    const size_t index = n_frames_++;
    frames_.push_back(frame);
    if (!options_.find_pauses) frames_.back().voiced = true;
    if (frames_.back().voiced) {
        if (!open_) first_voiced_ = index;
        open_ = true;
        last_voiced_ = index;
        if (index + 1 - first_voiced_ >= max_frames_) cut_long_piece(out);
    } else if (open_ && index - last_voiced_ >= pause_frames_) {
        close_at_pause(index + 1, out);
    }
}

void Segmenter::push(std::span<const float> samples, std::vector<Piece>& out) {
    samples_.insert(samples_.end(), samples.begin(), samples.end());
    n_samples_ += samples.size();
    decided_.clear();
    detector_.push(samples, decided_);
    for (const VoiceFrame& frame : decided_) take_frame(frame, out);
    forget();
}

void Segmenter::finish(std::vector<Piece>& out) {
    decided_.clear();
    detector_.finish(decided_);
    for (const VoiceFrame& frame : decided_) take_frame(frame, out);
    if (open_) close_at_pause(last_voiced_ + 1 + kMarginAfter * 2 / kVoiceFrameSamples, out);
    *this = Segmenter(options_);
}

Piece Segmenter::draft() const {
    const size_t longest = frames_of(options_.max_seconds) * kVoiceFrameSamples;
    const size_t begin = begin_sample();
    return make({begin, std::min(n_samples_, begin + longest)}, {first_voiced_, last_voiced_ + 1});
}

}  // namespace gemlet
