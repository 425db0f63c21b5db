// A round: free slots take jobs from the queue, then one step computes a row for every slot that
// answers and, in the room that is left, rows of the prompts that are being read. While somebody
// answers, prompts get smaller pieces, so that tokens keep flowing; an encoder or a recording that
// takes its turn on the same workers delays a round by one step of its own.
#include "frontends/server/answer/scheduler.h"

#include <algorithm>

#include "core/guard.h"

namespace gemlet::server {
namespace {

// Rows of prompts in a step that others wait for: long enough for products of matrices to be
// efficient, short enough not to be felt as a pause.
constexpr size_t kSharedRows = 128;

int64_t ns_between(AnswerJob::Clock::time_point from, AnswerJob::Clock::time_point to) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(to - from).count();
}

}  // namespace

Result<std::unique_ptr<Scheduler>> Scheduler::create(const ChatModel& model,
                                                     const SchedulerOptions& options,
                                                     Metrics& metrics) {
    return guard([&]() -> Result<std::unique_ptr<Scheduler>> {
        Result<std::unique_ptr<Batch>> batch = Batch::create(*model.engine, options.n_slots);
        GEMLET_TRY(batch);
        return std::unique_ptr<Scheduler>(
            new Scheduler(model, options, metrics, std::move(*batch)));
    });
}

Scheduler::Scheduler(const ChatModel& model, const SchedulerOptions& options, Metrics& metrics,
                     std::unique_ptr<Batch> batch)
    : model_(model), options_(options), metrics_(metrics), batch_(std::move(batch)) {
    slots_.resize(options.n_slots);
    for (SlotWork& slot : slots_) slot.known.reserve(batch_->context());
    views_.resize(options.n_slots);
    turns_.reserve(options.n_slots);
    thread_ = std::thread([this] { run(); });
}

Scheduler::~Scheduler() { stop(); }

void Scheduler::stop() {
    if (!thread_.joinable()) return;
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

bool Scheduler::submit(std::shared_ptr<AnswerJob> job) {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto n_idle = static_cast<size_t>(
            std::ranges::count_if(views_, [](const SlotView& view) { return !view.busy; }));
        if (stopping_ || queue_.size() >= options_.queue + n_idle) return false;
        queue_.push_back(std::move(job));
    }
    changed_.notify_all();
    return true;
}

std::vector<SlotView> Scheduler::slots() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return views_;
}

size_t Scheduler::n_queued() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return queue_.size();
}

bool Scheduler::idle() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return queue_.empty() &&
           std::ranges::none_of(views_, [](const SlotView& view) { return view.busy; });
}

/// Fills idle slots from the queue; waits while there is nothing at all to do. Returns false when
/// it is time to end.
bool Scheduler::admit() {
    std::vector<std::shared_ptr<AnswerJob>> taken;
    {
        std::unique_lock<std::mutex> lock(mutex_);
        const auto n_idle = static_cast<size_t>(
            std::ranges::count_if(slots_, [](const SlotWork& slot) { return !slot.job; }));
        if (n_idle == slots_.size()) {
            changed_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
        }
        if (stopping_) return false;
        for (auto next = queue_.begin(); next != queue_.end() && taken.size() < n_idle;) {
            if (!(*next)->may_begin()) {
                ++next;
                continue;
            }
            taken.push_back(std::move(*next));
            next = queue_.erase(next);
            // Counted as busy before the queue is seen shorter.
            auto view = std::ranges::find_if(views_, [](const SlotView& v) { return !v.busy; });
            if (view != views_.end()) view->busy = true;
        }
    }
    for (std::shared_ptr<AnswerJob>& job : taken) place(std::move(job));
    return true;
}

void Scheduler::place(std::shared_ptr<AnswerJob> job) {
    if (job->is_cancelled()) return job->finish({}, "stop");
    const AnswerTask& task = job->task();
    PromptRows prompt;
    prompt.lay_out(task.ids, task.media, model_.engine->config().d_model);
    const Placement placement = choose_slot(slots_, prompt, task.reuse);
    SlotWork& slot = slots_[placement.slot];
    size_t n_common = placement.n_common;
    const Status status = placement.source == placement.slot
                              ? batch_->truncate(placement.slot, n_common)
                              : batch_->copy(placement.source, placement.slot, n_common);
    if (!status.ok()) {  // the sliding windows no longer reach back that far
        n_common = 0;
        (void)batch_->truncate(placement.slot, 0);  // cannot fail
    }
    slot.known.assign(prompt, n_common);
    slot.prompt = std::move(prompt);
    slot.n_entered = n_common;
    slot.counts = {};
    slot.counts.n_prompt = task.ids.size();
    slot.counts.n_cached = n_common;
    slot.started = AnswerJob::Clock::now();
    slot.counts.queue_ns = ns_between(job->created(), slot.started);
    slot.used = ++round_;
    slot.answer.emplace(job, model_.tokenizer.vocabulary(), model_.engine->config().vocab_size);
    slot.job = std::move(job);
    slot.job->enter(JobState::prompt);
}

void Scheduler::drop_cancelled() {
    for (SlotWork& slot : slots_) {
        if (slot.job == nullptr || !slot.job->is_cancelled()) continue;
        metrics_.count_cancellation();
        end_answer(static_cast<size_t>(&slot - slots_.data()));
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    std::erase_if(queue_, [&](const std::shared_ptr<AnswerJob>& job) {
        if (!job->is_cancelled()) return false;
        metrics_.count_cancellation();
        job->finish({}, "stop");
        return true;
    });
}

void Scheduler::plan_turns() {
    turns_.clear();
    for (size_t i = 0; i < slots_.size(); ++i) {
        const SlotWork& slot = slots_[i];
        if (slot.in_answer()) turns_.push_back({i, slot.next, true, slot.answer->n_best()});
    }
    const size_t chunk = model_.engine->options().chunk;
    const size_t room = chunk - std::min(chunk, turns_.size());
    plan_prompts(turns_.empty() ? room : std::min(room, kSharedRows));
}

/// Shares `room` rows among the slots that read prompts, those that began first going first.
void Scheduler::plan_prompts(size_t room) {
    std::vector<size_t> readers;
    for (size_t i = 0; i < slots_.size(); ++i) {
        if (slots_[i].in_prompt()) readers.push_back(i);
    }
    std::ranges::sort(readers, {}, [&](size_t i) { return slots_[i].used; });
    for (const size_t i : readers) {
        if (room == 0) return;
        const SlotWork& slot = slots_[i];
        const std::span<const PromptRow> rows = slot.prompt.rows;
        const size_t end = batch_->cut(rows, slot.n_entered, room);
        turns_.push_back({i, rows.subspan(slot.n_entered, end - slot.n_entered), end == rows.size(),
                          slot.answer->n_best()});
        room -= std::min(room, end - slot.n_entered);
    }
}

void Scheduler::step() {
    const Status status = batch_->append(turns_);
    if (status.ok()) return take_results();
    // Ids and room were checked before, so this is a fault of ours: nothing was appended.
    for (const Turn& turn : turns_) {
        SlotWork& slot = slots_[turn.slot];
        slot.job->enter(JobState::failed);
        slot.release();
        slot.known.resize(0);
        (void)batch_->truncate(turn.slot, 0);  // cannot fail
    }
}

void Scheduler::take_results() {
    for (const Turn& turn : turns_) {
        SlotWork& slot = slots_[turn.slot];
        if (slot.in_prompt()) {
            slot.n_entered += turn.rows.size();
            slot.known.assign(slot.prompt, slot.n_entered);
            if (slot.in_prompt()) continue;
            slot.first_token = AnswerJob::Clock::now();
            slot.counts.prompt_ns = ns_between(slot.started, slot.first_token);
            slot.job->enter(JobState::answering);
        } else {
            slot.known.push(slot.next[0].token);
        }
        const bool has_room = batch_->size(turn.slot) < batch_->context();
        const std::optional<int32_t> next = slot.answer->draw(batch_->logits(turn.slot), has_room);
        slot.next[0] = {next.value_or(0), nullptr};
        slot.counts.n_completion = slot.answer->n_drawn();
        slot.counts.n_reasoning = slot.answer->n_reasoning();
        slot.counts.mask_ns = slot.answer->mask_ns();
        if (next) continue;
        slot.counts.decode_ns = ns_between(slot.first_token, AnswerJob::Clock::now());
        metrics_.count_answer(slot.counts);
        end_answer(turn.slot);
    }
}

/// The slot is free for all to see before the client knows that its answer is complete: what it
/// asks next must not find the slot busy.
void Scheduler::end_answer(size_t index) {
    SlotWork& slot = slots_[index];
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        views_[index] = {false, slot.known.size(), 0, 0};
    }
    slot.answer->finish(slot.counts);
    slot.release();
}

/// Writes down what the slots do, for those who ask.
void Scheduler::publish() {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (size_t i = 0; i < slots_.size(); ++i) {
        const SlotWork& slot = slots_[i];
        views_[i] = {slot.job != nullptr, slot.known.size(), slot.prompt.rows.size(),
                     slot.answer ? slot.answer->n_drawn() : 0};
    }
}

void Scheduler::run() {
    while (admit()) {
        drop_cancelled();
        plan_turns();
        if (!turns_.empty()) step();
        publish();
    }
    for (SlotWork& slot : slots_) {
        if (slot.job != nullptr) slot.job->enter(JobState::cut_off);
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const std::shared_ptr<AnswerJob>& job : queue_) job->enter(JobState::cut_off);
    queue_.clear();
}

}  // namespace gemlet::server
