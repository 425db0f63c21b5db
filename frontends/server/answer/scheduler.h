// Many answers at a time on one model: a queue, slots, and one thread that takes a step for all of
// them together.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/engine/batch.h"
#include "core/status.h"
#include "frontends/server/answer/answer_job.h"
#include "frontends/server/answer/slot_work.h"
#include "frontends/server/metrics.h"
#include "frontends/text/chat_model.h"

namespace gemlet::server {

struct SchedulerOptions {
    size_t n_slots = 1;  // the engine was opened with at least as many
    size_t queue = 16;   // answers that may wait for a slot
};

/// What a slot does, for people.
struct SlotView {
    bool busy = false;
    size_t n_known = 0;    // positions in the KV cache
    size_t n_prompt = 0;   // of the running answer
    size_t n_decoded = 0;  // of the running answer
};

/// Starts its thread at creation; all members may be called from any thread.
class Scheduler {
  public:
    /// Model and metrics must outlive it. Errors: those of Batch::create.
    static Result<std::unique_ptr<Scheduler>> create(const ChatModel& model,
                                                     const SchedulerOptions& options,
                                                     Metrics& metrics);
    /// Stops.
    ~Scheduler();
    Scheduler(const Scheduler&) = delete;
    Scheduler& operator=(const Scheduler&) = delete;

    /// Ends what runs and what waits, cut off, and takes no more. Called once, by one thread.
    void stop();
    /// Puts a job at the end of the queue. Returns false when the queue is full. The prompt is not
    /// empty and leaves room in the context (the caller's duty).
    bool submit(std::shared_ptr<AnswerJob> job);
    std::vector<SlotView> slots() const;
    size_t n_queued() const;
    /// Nothing waits and nothing runs.
    bool idle() const;

  private:
    Scheduler(const ChatModel& model, const SchedulerOptions& options, Metrics& metrics,
              std::unique_ptr<Batch> batch);
    void run();
    bool admit();
    void drop_cancelled();
    void place(std::shared_ptr<AnswerJob> job);
    void plan_turns();
    void plan_prompts(size_t room);
    void step();
    void take_results();
    void end_answer(size_t index);
    void publish();

    const ChatModel& model_;
    const SchedulerOptions options_;
    Metrics& metrics_;
    const std::unique_ptr<Batch> batch_;

    // The decoding thread's own.
    std::vector<SlotWork> slots_;
    std::vector<Turn> turns_;
    uint64_t round_ = 0;

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::shared_ptr<AnswerJob>> queue_;  // guarded by mutex_, as all below
    std::vector<SlotView> views_;
    bool stopping_ = false;
    std::thread thread_;  // last: starts when all else is there
};

}  // namespace gemlet::server
