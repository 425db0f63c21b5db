// The order of things after a token is drawn is that of frontends/text/generate.cpp.
#include "frontends/server/answer/slot_work.h"

#include <algorithm>
#include <utility>

#include "frontends/text/chat/specials.h"
#include "frontends/text/chat/tag_reader.h"

namespace gemlet::server {
namespace {

std::vector<int32_t> never_drawn(const AnswerTask& task, const Vocabulary& vocabulary) {
    const auto suppressed = vocabulary.suppressed_ids();
    std::vector<int32_t> ids(suppressed.begin(), suppressed.end());
    ids.insert(ids.end(), task.banned.begin(), task.banned.end());
    return ids;
}

}  // namespace

GrowingAnswer::GrowingAnswer(std::shared_ptr<AnswerJob> job, const Vocabulary& vocabulary,
                             size_t vocab_size)
    : job_(std::move(job)),
      vocabulary_(&vocabulary),
      sampler_(vocab_size, job_->task().sampling, never_drawn(job_->task(), vocabulary)),
      stream_(vocabulary, job_->task().start, job_->task().raw),
      stops_(job_->task().stops),
      guide_(job_->task().rules, job_->task().start, vocabulary.stop_ids()) {}

size_t GrowingAnswer::n_best() const {
    const AnswerTask& task = job_->task();
    if (!task.biases.empty() || task.n_logprobs || guide_.restricts()) return 0;
    return n_deciding(task.sampling, vocabulary_->suppressed_ids().size() + task.banned.size());
}

int32_t GrowingAnswer::choose(std::span<const float> logits) {
    if (const std::optional<int32_t> only = guide_.forced()) return *only;
    if (!job_->task().biases.empty()) {
        biased_.assign(logits.begin(), logits.end());
        for (const auto& [id, bias] : job_->task().biases) {
            if (static_cast<size_t>(id) < biased_.size()) biased_[static_cast<size_t>(id)] += bias;
        }
        logits = biased_;
    }
    const AnswerJob::Clock::time_point start = AnswerJob::Clock::now();
    if (!guide_.allowed(allowed_, logits.size())) return sampler_.sample(logits);
    const auto took = AnswerJob::Clock::now() - start;
    mask_ns_ += std::chrono::duration_cast<std::chrono::nanoseconds>(took).count();
    return sampler_.sample(logits, allowed_);
}

void GrowingAnswer::give(chat::ResponseDelta delta) {
    delta.content = stops_.push(delta.content);
    if (stops_.stopped()) delta.tool_calls.clear();
    std::vector<TokenLogprob> logprobs = logprobs_of(delta.content.size());
    job_->give(std::move(delta), std::move(logprobs));
}

/// Those of the tokens that the next `n_bytes` of text came from. A stop leaves out tokens that
/// begin behind it; otherwise what is given comes from all that was held.
std::vector<TokenLogprob> GrowingAnswer::logprobs_of(size_t n_bytes) {
    if (n_bytes == 0) return {};
    size_t n_kept = 0;
    size_t begin = 0;
    while (n_kept < held_.size() && (!stops_.stopped() || begin < n_bytes)) {
        begin += vocabulary_->bytes(held_[n_kept++].drawn.id).size();
    }
    held_.resize(n_kept);
    return std::exchange(held_, {});
}

std::optional<int32_t> GrowingAnswer::draw(std::span<const float> logits, bool has_room) {
    const int32_t id = choose(logits);
    if (vocabulary_->is_stop(id)) return std::nullopt;
    sampler_.accept(id);
    const bool was_in_text = guide_.in_text();
    guide_.take(id);
    ++n_drawn_;
    const AnswerTask& task = job_->task();
    const bool is_text = was_in_text && guide_.in_text() && chat::tag_of_id(id) == chat::Tag::none;
    if (task.n_logprobs && (task.raw || is_text)) {
        held_.push_back(log_probabilities(logits, id, *task.n_logprobs));
    }
    give(stream_.take(id));
    if (stream_.done() || stops_.stopped() || guide_.complete()) return std::nullopt;
    cut_ = n_drawn_ == task.max_tokens || !has_room;
    if (cut_) return std::nullopt;
    return id;
}

void GrowingAnswer::finish(AnswerCounts counts) {
    counts.n_completion = n_drawn_;
    counts.n_reasoning = guide_.n_thought();
    if (stops_.stopped()) return job_->finish(counts, "stop");
    chat::ResponseDelta rest =
        stream_.finish(cut_ ? chat::StopCause::length : chat::StopCause::stop);
    rest.content = stops_.push(rest.content);
    if (!stops_.stopped()) rest.content += stops_.flush();
    const bool stopped = stops_.stopped();
    std::vector<TokenLogprob> logprobs = logprobs_of(rest.content.size());
    job_->give(std::move(rest), std::move(logprobs));
    job_->finish(counts, stopped ? "stop" : stream_.response().finish_reason);
}

void SlotWork::release() {
    job.reset();
    answer.reset();
    prompt.rows.clear();
    prompt.marks.clear();
    n_entered = 0;
    counts = {};
}

Placement choose_slot(std::span<const SlotWork> slots, const PromptRows& prompt, bool reuse) {
    Placement best;                // of all slots: whose rows to begin with
    size_t oldest = slots.size();  // of the idle ones
    for (size_t i = 0; i < slots.size(); ++i) {
        const size_t n = reuse ? slots[i].known.common(prompt) : 0;
        if (n > best.n_common) best = {i, i, n};
        const bool idle = slots[i].job == nullptr;
        if (idle && (oldest == slots.size() || slots[i].used < slots[oldest].used)) oldest = i;
    }
    // A few rows in common (every chat begins alike) are computed faster than a cache is copied.
    constexpr size_t kLeastCopy = 32;
    const SlotWork& source = slots[best.source];
    // Most of what the slot holds is what the prompt begins with: the same conversation.
    const bool goes_on = best.n_common != 0 && best.n_common * 2 >= source.known.size();
    if (source.job == nullptr && goes_on) return best;
    best.slot = oldest;
    if (best.n_common < kLeastCopy || best.source == oldest) {
        return {oldest, oldest, reuse ? slots[oldest].known.common(prompt) : 0};
    }
    return best;
}

}  // namespace gemlet::server
