// The thresholds are those that transcription programs have settled on (compression ratio 2.4, mean
// log probability -1), and for the length of a text what people do: speech has ten letters
// or more a second, pauses apart; digits read out slowly have four.
#include "frontends/transcribe/answer.h"

#include <algorithm>
#include <cmath>

#include "frontends/text/chat/specials.h"
#include "frontends/text/chat/tag_reader.h"
#include "frontends/text/tokenizer/detokenizer.h"
#include "frontends/transcribe/loop_guard.h"
#include "frontends/transcribe/words.h"

namespace gemlet {
namespace {

constexpr float kMostCompression = 2.4F;
constexpr float kLeastLogprob = -1.0F;
constexpr double kEmptySeconds = 0.4;  // of speech, which cannot be nothing
constexpr double kShortSeconds = 3.0;  // of speech, from which on the length of the text counts
constexpr double kLeastLettersPerSecond = 3.0;

SamplerOptions sampling_of(const AnswerLimits& limits) {
    SamplerOptions options;
    options.temperature = limits.temperature;
    options.top_k = 0;
    options.top_p = 1;
    options.seed = limits.seed;
    return options;
}

/// ln softmax(logits)[token]. Logits far below the largest add less than float32 can tell.
double log_probability(std::span<const float> logits, int32_t token) {
    constexpr float kNegligible = 20.0F;
    const float largest = *std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (const float logit : logits) {
        if (logit > largest - kNegligible) sum += static_cast<double>(std::exp(logit - largest));
    }
    return static_cast<double>(logits[static_cast<size_t>(token)] - largest) - std::log(sum);
}

/// From the pause detector: how little the speech stands out of the noise. One half at 6 dB.
float no_speech_probability(const Piece& piece) {
    constexpr float kHalfDb = 6.0F;
    constexpr float kSlopeDb = 2.5F;
    return 1.0F / (1.0F + std::exp((piece.mean_strength_db - kHalfDb) / kSlopeDb));
}

}  // namespace

size_t most_answer_tokens(double seconds, bool translated) {
    constexpr double kTokensPerSecond = 20;
    constexpr size_t kAtLeast = 32;
    const size_t most = kAtLeast + static_cast<size_t>(std::max(0.0, seconds) * kTokensPerSecond);
    return translated ? 2 * most : most;
}

PieceAnswer::PieceAnswer(const Tokenizer& tokenizer, size_t vocab_size, const AnswerLimits& limits)
    : tokenizer_(&tokenizer),
      limits_(limits),
      sampler_(vocab_size, sampling_of(limits), tokenizer.vocabulary().suppressed_ids()) {}

bool PieceAnswer::step(std::span<const float> logits) {
    const int32_t token = sampler_.sample(logits);
    sum_logprob_ += log_probability(logits, token);
    ++n_drawn_;
    if (tokenizer_->is_stop(token)) return false;
    tokens_.push_back(token);
    if (loop_period(tokens_) != 0) {
        looped_ = true;
        return false;
    }
    at_limit_ = tokens_.size() >= limits_.max_tokens;
    return !at_limit_;
}

/// The text of an answer, thoughts and markup apart.
std::string PieceAnswer::parse(std::span<const int32_t> tokens) const {
    const Vocabulary& vocabulary = tokenizer_->vocabulary();
    StreamDetokenizer detokenizer(vocabulary, false);
    chat::ResponseParser parser(limits_.start);
    for (const int32_t token : tokens) {
        if (!vocabulary.is_special(token)) {
            parser.feed_token(token, detokenizer.push(token));
        } else if (chat::tag_of_id(token) != chat::Tag::none) {
            parser.feed_token(token, vocabulary.bytes(token));
        }
    }
    parser.feed_token(kNoToken, detokenizer.flush());
    parser.finish(chat::StopCause::stop);
    return parser.response().content;
}

PieceText PieceAnswer::finish(const Piece& piece, const SpeechTask& task) const {
    PieceText made;
    made.range = piece.range;
    made.speech = piece.speech;
    made.voiced = piece.voiced;
    made.forced_begin = piece.forced_begin;
    made.forced_end = piece.forced_end;
    const auto kept = std::span(tokens_).first(without_loop(tokens_));
    made.tokens.assign(kept.begin(), kept.end());
    SpeechAnswer answer = read_speech_answer(parse(kept), task);
    made.text = std::move(answer.text);
    made.translation = std::move(answer.translation);
    made.temperature = limits_.temperature;
    made.avg_logprob =
        n_drawn_ == 0 ? 0.0F : static_cast<float>(sum_logprob_ / static_cast<double>(n_drawn_));
    made.compression_ratio = compression_ratio(made.text + made.translation);
    made.no_speech_prob = no_speech_probability(piece);
    return made;
}

AnswerFault PieceAnswer::judge(const PieceText& text, double voiced_seconds) const {
    if (looped_ || text.compression_ratio > kMostCompression) return AnswerFault::loop;
    if (at_limit_) return AnswerFault::too_long;
    const size_t length = std::max(spoken_length(text.text), spoken_length(text.translation));
    if (length == 0) return voiced_seconds > kEmptySeconds ? AnswerFault::empty : AnswerFault::none;
    if (voiced_seconds > kShortSeconds &&
        static_cast<double>(length) < kLeastLettersPerSecond * voiced_seconds) {
        return AnswerFault::brief;
    }
    return text.avg_logprob < kLeastLogprob ? AnswerFault::unsure : AnswerFault::none;
}

}  // namespace gemlet
