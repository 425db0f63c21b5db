// A text before a forced cut waits until its successor is known, since the seam changes both. A
// piece of one sentence has the measured times of its speech. The sentences of a longer one share
// its voiced time by length of text: pauses inside the piece then fall where they are, not where
// the text is longest.
#include "frontends/transcribe/piece_text.h"

#include <algorithm>
#include <cmath>

#include "frontends/transcribe/words.h"

namespace gemlet {
namespace {

constexpr size_t kSnapPause = kSpeechRateHz / 4;      // a pause that can end a sentence
constexpr size_t kSnapReach = kSpeechRateHz * 3 / 4;  // of voiced time, around the estimate

/// What lies between two sentences: from the end of one to the beginning of the next. `share`
/// (0 to 1) of the voiced time is over then, or nearly: sentences end at pauses.
SampleRange boundary_at(const PieceText& piece, double share) {
    size_t total = 0;
    for (const SampleRange& run : piece.voiced) total += run.size();
    const auto wanted = static_cast<size_t>(std::lround(share * static_cast<double>(total)));
    SampleRange best = {piece.speech.end, piece.speech.end};
    size_t nearest = kSnapReach + 1;
    size_t done = 0;
    for (size_t i = 0; i < piece.voiced.size(); ++i) {
        const SampleRange& run = piece.voiced[i];
        if (nearest > kSnapReach && wanted >= done && wanted < done + run.size()) {
            const size_t at = run.begin + (wanted - done);
            best = {at, at};
        }
        done += run.size();
        if (i + 1 == piece.voiced.size()) break;
        const SampleRange pause = {run.end, piece.voiced[i + 1].begin};
        const size_t distance = done > wanted ? done - wanted : wanted - done;
        if (pause.size() >= kSnapPause && distance < nearest) {
            nearest = distance;
            best = pause;
        }
    }
    return best;
}

double seconds_of(size_t sample) { return static_cast<double>(sample) / kSpeechRateHz; }

std::string trimmed(std::string_view text) {
    std::string line;
    append_text(line, text);
    while (!line.empty() && line.back() == ' ') line.pop_back();
    return line;
}

/// Cuts what both texts hold of the sound around a forced cut.
void trim_seam(std::string& first, std::string& second) {
    const Seam seam = find_seam(first, second);
    first.resize(seam.keep_bytes);
    second.erase(0, seam.skip_bytes);
}

}  // namespace

void Joiner::take(PieceText text) {
    if (waiting_) {
        if (text.forced_begin) {
            trim_seam(last_.text, text.text);
            trim_seam(last_.translation, text.translation);
            // The times of neighbours do not overlap either.
            const size_t middle = (last_.range.end + text.range.begin) / 2;
            last_.speech.end = std::min(last_.speech.end, std::max(middle, last_.speech.begin));
            text.speech.begin = std::max(text.speech.begin, std::min(middle, text.speech.end));
        }
        add_segments(last_);
    }
    // Without a forced cut the successor changes nothing.
    waiting_ = text.forced_end;
    if (waiting_) {
        last_ = std::move(text);
    } else {
        add_segments(text);
    }
}

void Joiner::finish() {
    if (waiting_) add_segments(last_);
    waiting_ = false;
}

void Joiner::add_segments(const PieceText& piece) {
    std::vector<std::string_view> sentences = split_sentences(piece.text);
    std::vector<std::string_view> translated = split_sentences(piece.translation);
    const bool paired = translated.size() == sentences.size();
    if (sentences.empty() && translated.empty()) return;
    if (transcript_->translated() && !paired) {
        sentences.assign(1, piece.text);
        translated.assign(1, piece.translation);
    }
    translated.resize(sentences.size());
    size_t total = 0;
    for (const std::string_view sentence : sentences) total += spoken_length(sentence);
    size_t done = 0;
    size_t n_tokens_done = 0;
    size_t next_begin = piece.speech.begin;
    for (size_t i = 0; i < sentences.size(); ++i) {
        const auto share = [&] {
            return total == 0 ? 1.0 : static_cast<double>(done) / static_cast<double>(total);
        };
        TranscriptSegment segment;
        const bool last = i + 1 == sentences.size();
        done += spoken_length(sentences[i]);
        const size_t begin = next_begin;
        size_t end = piece.speech.end;
        if (!last) {
            const SampleRange boundary = boundary_at(piece, share());
            end = std::max(begin, boundary.begin);
            next_begin = std::max(begin, boundary.end);
        }
        segment.start = seconds_of(begin);
        segment.end = seconds_of(std::max(begin, end));
        segment.estimated = sentences.size() > 1;
        segment.seek = seconds_of(piece.range.begin);
        segment.text = trimmed(sentences[i]);
        segment.translation = trimmed(translated[i]);
        const size_t n_tokens =
            last ? piece.tokens.size()
                 : static_cast<size_t>(share() * static_cast<double>(piece.tokens.size()));
        segment.tokens.assign(piece.tokens.begin() + static_cast<ptrdiff_t>(n_tokens_done),
                              piece.tokens.begin() + static_cast<ptrdiff_t>(n_tokens));
        n_tokens_done = n_tokens;
        segment.temperature = piece.temperature;
        segment.avg_logprob = piece.avg_logprob;
        segment.compression_ratio = piece.compression_ratio;
        segment.no_speech_prob = piece.no_speech_prob;
        transcript_->segments.push_back(std::move(segment));
    }
}

}  // namespace gemlet
