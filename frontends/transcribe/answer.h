// One answer to a piece while it grows: sampling, probabilities, the guards that end it, and how
// good it looks afterwards.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/engine/sampler.h"
#include "frontends/text/chat/parser.h"
#include "frontends/text/tokenizer/tokenizer.h"
#include "frontends/transcribe/piece_text.h"
#include "frontends/transcribe/speech_prompt.h"

namespace gemlet {

/// What is wrong with an answer; the worst last.
enum class AnswerFault : uint8_t {
    none,
    unsure,    // the mean probability of its tokens is low
    brief,     // much less text than the speech is long
    empty,     // no text at all
    too_long,  // the limit was reached
    loop,      // it repeats itself
};

/// How an answer is drawn and when it must end.
struct AnswerLimits {
    float temperature = 0;
    uint64_t seed = 0;
    size_t max_tokens = 0;
    chat::ParseStart start = chat::ParseStart::content;
};

/// The most tokens an answer about so many seconds can need: fast speech in a script of one token a
/// letter is about 20 a second; a translation is another text of that length.
size_t most_answer_tokens(double seconds, bool translated);

/// One growing answer. One thread.
class PieceAnswer {
  public:
    PieceAnswer(const Tokenizer& tokenizer, size_t vocab_size, const AnswerLimits& limits);

    /// Takes the logits after the last token and draws the next. Returns false when the answer has
    /// ended; otherwise `last()` is to be appended.
    bool step(std::span<const float> logits);
    int32_t last() const { return tokens_.back(); }
    bool stopped_by_limit() const { return at_limit_; }

    /// The finished text. What a loop repeated is left out.
    PieceText finish(const Piece& piece, const SpeechTask& task) const;
    /// Judges it. `voiced_seconds` is how much speech the piece has.
    AnswerFault judge(const PieceText& text, double voiced_seconds) const;

  private:
    std::string parse(std::span<const int32_t> tokens) const;

    const Tokenizer* tokenizer_;
    AnswerLimits limits_;
    Sampler sampler_;
    std::vector<int32_t> tokens_;
    double sum_logprob_ = 0;
    size_t n_drawn_ = 0;
    bool at_limit_ = false;
    bool looped_ = false;
};

}  // namespace gemlet
