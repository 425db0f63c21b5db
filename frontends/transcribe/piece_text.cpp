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

/// The sample at which `share` (0 to 1) of the voiced time is over. At a pause: the pause's end if
/// `after`, its beginning otherwise.
size_t voiced_position(const PieceText& piece, double share, bool after) {
    size_t total = 0;
    for (const SampleRange& run : piece.voiced) total += run.size();
    auto left = static_cast<size_t>(std::lround(share * static_cast<double>(total)));
    for (const SampleRange& run : piece.voiced) {
        if (left < run.size() || (left == run.size() && !after)) return run.begin + left;
        left -= run.size();
    }
    return piece.speech.end;
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
    for (size_t i = 0; i < sentences.size(); ++i) {
        const auto share = [&] {
            return total == 0 ? 1.0 : static_cast<double>(done) / static_cast<double>(total);
        };
        TranscriptSegment segment;
        const bool first = i == 0;
        const bool last = i + 1 == sentences.size();
        segment.start =
            seconds_of(first ? piece.speech.begin : voiced_position(piece, share(), true));
        done += spoken_length(sentences[i]);
        segment.end = seconds_of(last ? piece.speech.end : voiced_position(piece, share(), false));
        segment.end = std::max(segment.end, segment.start);
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
