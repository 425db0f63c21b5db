// A lock held for moments; the decoding thread never waits for a client.
#include "frontends/server/answer/answer_job.h"

namespace gemlet::server {

AnswerJob::Update AnswerJob::wait(std::chrono::milliseconds most) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait_for(lock, most, [&] { return !deltas_.empty() || state_ != seen_; });
    seen_ = state_;
    return {state_, std::exchange(deltas_, {})};
}

AnswerCounts AnswerJob::counts() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return counts_;
}

std::string AnswerJob::finish_reason() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return reason_;
}

void AnswerJob::enter(JobState state) {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        state_ = state;
    }
    changed_.notify_all();
}

bool AnswerJob::may_begin() const {
    if (task_.leader == nullptr) return true;
    const std::lock_guard<std::mutex> lock(task_.leader->mutex_);
    const JobState state = task_.leader->state_;
    return state != JobState::waiting && state != JobState::prompt;
}

void AnswerJob::give(chat::ResponseDelta text, std::vector<TokenLogprob> logprobs) {
    if (text.empty()) return;
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        deltas_.push_back({std::move(text), std::move(logprobs)});
    }
    changed_.notify_all();
}

void AnswerJob::finish(const AnswerCounts& counts, std::string_view reason) {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        counts_ = counts;
        reason_ = reason;
        state_ = JobState::done;
    }
    changed_.notify_all();
}

}  // namespace gemlet::server
