// One answer on its way from the decoding thread to the client that waits for it.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/engine/sampler.h"
#include "frontends/media/soft_tokens.h"
#include "frontends/server/answer/call_guide.h"
#include "frontends/server/answer/logprobs.h"
#include "frontends/text/chat/parser.h"
#include "frontends/text/prompt_rows.h"

namespace gemlet::server {

class AnswerJob;

/// What to answer. Does not change once it is submitted.
struct AnswerTask {
    std::vector<int32_t> ids;
    std::vector<PromptMedium> media;     // rows of `soft`
    std::vector<SharedSoftTokens> soft;  // kept until the end
    SamplerOptions sampling;
    std::vector<std::pair<int32_t, float>> biases;
    std::vector<int32_t> banned;
    std::vector<std::string> stops;
    GuideRules rules;
    chat::ParseStart start = chat::ParseStart::content;
    bool raw = false;                  // do not parse
    size_t max_tokens = 0;             // 0: to the end of the context
    bool reuse = true;                 // what other answers have computed
    std::optional<size_t> n_logprobs;  // report them, with so many alternatives of every token
    /// Another answer to the same prompt: this one begins when that has read it. Submitted before.
    std::shared_ptr<const AnswerJob> leader;
};

/// What an answer took.
struct AnswerCounts {
    size_t n_prompt = 0;
    size_t n_cached = 0;      // of these, not computed again
    size_t n_completion = 0;  // drawn tokens, the stop token apart
    size_t n_reasoning = 0;   // of these, in thoughts
    int64_t queue_ns = 0;
    int64_t prompt_ns = 0;
    int64_t decode_ns = 0;
    int64_t mask_ns = 0;  // of these, finding out what grammars allow
};

/// `cut_off`: the server ends; `failed`: a fault of ours.
enum class JobState : uint8_t { waiting, prompt, answering, done, cut_off, failed };

/// What a step adds to an answer.
struct AnswerDelta {
    chat::ResponseDelta text;
    std::vector<TokenLogprob> logprobs;  // of the tokens its content is made of
};

/// Shared by the client's thread and the decoding thread.
class AnswerJob {
  public:
    using Clock = std::chrono::steady_clock;

    explicit AnswerJob(AnswerTask task) : task_(std::move(task)) {}

    const AnswerTask& task() const { return task_; }
    Clock::time_point created() const { return created_; }

    /// What has come since the last call.
    struct Update {
        JobState state = JobState::waiting;
        std::vector<AnswerDelta> deltas;
    };
    /// Waits until something has come or the time is over.
    Update wait(std::chrono::milliseconds most);
    /// Valid when the state is `done`.
    AnswerCounts counts() const;
    std::string finish_reason() const;

    /// The client is gone, or nobody wants more.
    void cancel() { cancelled_ = true; }
    bool is_cancelled() const { return cancelled_.load(std::memory_order_relaxed); }

    /// Its prompt need not be read by somebody else first.
    bool may_begin() const;

    /// For the decoding thread.
    void enter(JobState state);
    void give(chat::ResponseDelta text, std::vector<TokenLogprob> logprobs = {});
    void finish(const AnswerCounts& counts, std::string_view reason);

  private:
    const AnswerTask task_;
    const Clock::time_point created_ = Clock::now();
    std::atomic<bool> cancelled_ = false;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    JobState state_ = JobState::waiting;  // guarded by mutex_, as all below
    JobState seen_ = JobState::waiting;   // by the last wait
    std::vector<AnswerDelta> deltas_;
    AnswerCounts counts_;
    std::string reason_;
};

}  // namespace gemlet::server
