// From prompt ids to an answer: prefill, sampling, detokenizing, parsing, one token at a time.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/engine/sampler.h"
#include "core/engine/session.h"
#include "core/status.h"
#include "frontends/text/chat/parser.h"
#include "frontends/text/chat/prompt.h"
#include "frontends/text/prompt_rows.h"
#include "frontends/text/tokenizer/tokenizer.h"

namespace gemlet {

/// Returns the ids of a rendered prompt; only its own markup becomes special.
std::vector<int32_t> encode_prompt(const Tokenizer& tokenizer, const chat::Prompt& prompt);

/// Returns where the model's answer to this prompt begins: inside a thought if it opens one.
chat::ParseStart parse_start_of(const chat::Prompt& prompt);

/// One answer to make. What it points to must outlive the call.
struct GenerateRequest {
    std::span<const int32_t> prompt;
    std::span<const PromptMedium> media = {};  // ascending, within the prompt
    SamplerOptions sampling;
    chat::ParseStart start = chat::ParseStart::content;
    bool raw = false;       // do not parse: all text is content, specials included
    size_t max_tokens = 0;  // 0: until the context is full
    const std::atomic<bool>* cancel = nullptr;
    std::function<void(const chat::ResponseDelta&)> on_delta;        // never empty
    std::function<void(size_t done, size_t total)> on_prefill = {};  // prompt tokens
};

enum class AnswerEnd : uint8_t { stop_token, max_tokens, context_full, cancelled };

/// An answer and what it took.
struct Answer {
    chat::ParsedResponse response;
    AnswerEnd end = AnswerEnd::stop_token;
    size_t n_prompt = 0;      // tokens of the prompt
    size_t n_reused = 0;      // of these, already in the session
    size_t n_completion = 0;  // sampled tokens, the stop token apart
    int64_t prefill_ns = 0;
    int64_t decode_ns = 0;

    double prefill_tokens_per_s() const;
    double decode_tokens_per_s() const;
};

/// Answers prompts in one session. What a prompt has in common with the session's tokens is not
/// computed again. One thread at a time; session and tokenizer must outlive it.
class Generator {
  public:
    Generator(Session& session, const Tokenizer& tokenizer);

    /// Errors: `bad_argument` for an empty prompt or sampling settings out of range, `context_full`
    /// when the prompt does not fit. An answer cut short is no error.
    Result<Answer> run(const GenerateRequest& request);

    /// Tokens in the session.
    std::span<const int32_t> ids() const { return known_.ids; }

  private:
    size_t reuse();
    Status prefill(const GenerateRequest& request, Answer& answer);

    Session* session_;
    const Tokenizer* tokenizer_;
    KnownRows known_;    // of the session
    PromptRows prompt_;  // being answered
};

}  // namespace gemlet
