// One slot of the scheduler: what its KV cache holds, and the answer it works on.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/engine/batch.h"
#include "frontends/server/answer/answer_job.h"
#include "frontends/server/answer/call_guide.h"
#include "frontends/server/answer/stop_filter.h"
#include "frontends/text/answer_stream.h"
#include "frontends/text/prompt_rows.h"
#include "frontends/text/tokenizer/vocabulary.h"

namespace gemlet::server {

/// An answer while it grows. Draws token after token until it ends.
class GrowingAnswer {
  public:
    GrowingAnswer(std::shared_ptr<AnswerJob> job, const Vocabulary& vocabulary, size_t vocab_size);

    AnswerJob& job() { return *job_; }
    /// How many of the largest logits the next draw reads; 0: all.
    size_t n_best() const;
    /// Takes the logits after the last row and draws. Returns the token to append, or nothing when
    /// the answer has ended; then finish() is due. `has_room`: the context can hold another token.
    std::optional<int32_t> draw(std::span<const float> logits, bool has_room);
    /// Gives the rest of the answer and what it took to the job.
    void finish(AnswerCounts counts);
    size_t n_drawn() const { return n_drawn_; }
    size_t n_reasoning() const { return guide_.n_thought(); }
    int64_t mask_ns() const { return mask_ns_; }

  private:
    int32_t choose(std::span<const float> logits);
    std::vector<TokenLogprob> logprobs_of(size_t n_bytes);
    void give(chat::ResponseDelta delta);

    std::shared_ptr<AnswerJob> job_;
    const Vocabulary* vocabulary_;
    Sampler sampler_;
    AnswerStream stream_;
    StopFilter stops_;
    CallGuide guide_;
    std::vector<uint32_t> allowed_;
    std::vector<float> biased_;
    std::vector<TokenLogprob> held_;  // of tokens whose text is not given yet
    size_t n_drawn_ = 0;
    int64_t mask_ns_ = 0;
    bool cut_ = false;  // by a limit
};

struct SlotWork {
    KnownRows known;    // of the slot's KV cache
    uint64_t used = 0;  // round of its last answer

    std::shared_ptr<AnswerJob> job;  // null: idle
    PromptRows prompt;
    size_t n_entered = 0;  // rows of the prompt in the KV cache
    std::optional<GrowingAnswer> answer;
    std::array<PromptRow, 1> next = {};  // the token to append
    AnswerCounts counts;
    AnswerJob::Clock::time_point started;
    AnswerJob::Clock::time_point first_token;

    bool in_prompt() const { return job != nullptr && n_entered < prompt.rows.size(); }
    bool in_answer() const { return job != nullptr && n_entered == prompt.rows.size(); }
    void release();
};

/// Where the next answer goes.
struct Placement {
    size_t slot = 0;
    size_t source = 0;  // whose rows it begins with; may be the slot itself
    size_t n_common = 0;
};

/// Chooses an idle slot (there is one) for a prompt. A conversation goes on in the slot that holds
/// it; one that only begins alike gets a slot of its own, the one used longest ago, and a copy of
/// the rows they share.
Placement choose_slot(std::span<const SlotWork> slots, const PromptRows& prompt, bool reuse);

}  // namespace gemlet::server
