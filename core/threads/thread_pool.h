// A pool of pinned threads that runs one loop at a time, for regions of microseconds: the calling
// thread takes part, the others spin for a short while between regions and then sleep.
// The idea of the protocol stands at the top of thread_pool.cpp.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/status.h"
#include "core/threads/affinity.h"
#include "core/threads/placement.h"

namespace gemlet {

struct ThreadPoolOptions {
    size_t n_threads = 0;   // workers, the calling thread included; 0: chosen from the machine
    uint32_t spin_us = 50;  // how long idle workers spin before they sleep
};

/// Reads the machine (topology, affinity of the calling thread, cgroup quota) and places
/// `n_threads` workers, or as many as suit it for 0.
Placement place_on_this_machine(size_t n_threads);

/// Runs parallel loops. Made once, at engine creation; nothing is allocated afterwards.
/// Threads: one region at a time; calls from several threads need a lock around them.
class ThreadPool {
  public:
    static constexpr size_t kMaxWorkers = 1024;

    /// Starts the workers of place_on_this_machine; on return all run. Errors: `bad_argument` for
    /// more than kMaxWorkers, `io` or `out_of_memory` when threads cannot be started.
    static Result<std::unique_ptr<ThreadPool>> create(const ThreadPoolOptions& options = {});
    /// The same with a placement made by the caller.
    static Result<std::unique_ptr<ThreadPool>> create(const ThreadPoolOptions& options,
                                                      const Placement& placement);
    /// Stops and joins the workers. No region may be running.
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    /// Workers, the calling thread included; `worker` in a body is below this.
    size_t n_workers() const noexcept { return places_.size(); }
    /// Where the workers run; worker 0 is the calling thread.
    std::span<const WorkerPlace> places() const noexcept { return places_; }

    /// Calls body(begin, end, worker) for ranges that together cover [0, n_items) exactly once,
    /// and returns when all have returned; what bodies wrote is then visible to the caller.
    /// Ranges are at most `grain` long (0 counts as 1) and start at multiples of it. The items are
    /// split into a stretch for each worker, at the same places for the same (n_items, grain),
    /// those of a memory node side by side; a worker takes ranges of its own stretch in order, then
    /// what is left of its node's, then of the others'. Which worker runs a range, and whether a
    /// given worker gets any, is left to chance: results must not depend on it. One range or one
    /// worker: runs in the caller without touching the others. Errors: none; n_items is below 2^53;
    /// bodies must not throw, and must not call parallel_for of the same pool.
    template <class Body>
    void parallel_for(size_t n_items, size_t grain, Body&& body) noexcept {
        using Plain = std::remove_reference_t<Body>;
        const auto call = [](void* context, size_t begin, size_t end, size_t worker) {
            (*static_cast<Plain*>(context))(begin, end, worker);
        };
        // A const body is only ever called as const again.
        run({call, const_cast<std::remove_const_t<Plain>*>(std::addressof(body))}, n_items, grain);
    }

    /// Pins the calling thread to worker 0's CPU while the returned scope lives. The caller's
    /// thread belongs to the embedder, so parallel_for leaves it where it is; hold this around a
    /// whole prefill or decode step (it costs three system calls).
    [[nodiscard]] AffinityScope pin_caller() const noexcept {
        return AffinityScope(places_.front().pu);
    }

  private:
    struct Job {
        void (*call)(void* context, size_t begin, size_t end, size_t worker) = nullptr;
        void* context = nullptr;
    };
    // Items claimed from the front. A cache line of its own.
    struct alignas(64) Stretch {
        std::atomic<size_t> next{0};
        size_t end = 0;
    };
    // Stretches [first, end) of a node.
    struct NodeStretches {
        size_t first = 0;
        size_t end = 0;
    };

    ThreadPool(const ThreadPoolOptions& options, const Placement& placement);

    void run(Job job, size_t n_items, size_t grain) noexcept;
    void split(size_t n_items, size_t grain) noexcept;
    void work(size_t worker) noexcept;
    void take_all(size_t stretch, size_t worker) noexcept;
    void deal_stretches();
    void worker_main(size_t worker) noexcept;
    bool spin_for_region(uint32_t seen) const noexcept;
    void sleep(uint32_t seen) noexcept;
    void wake_one() noexcept;

    std::vector<WorkerPlace> places_;
    std::vector<NodeStretches> nodes_;
    std::vector<size_t> stretch_of_;   // [n_workers]
    std::vector<size_t> workers_end_;  // [n_stretches] workers of this stretch and those before
    std::unique_ptr<Stretch[]> stretches_;
    uint32_t spin_us_;
    bool yielding_;  // more workers than CPUs

    // The region being run; written by the caller while the gate is closed and nobody is inside.
    Job job_;
    size_t grain_ = 1;

    alignas(64) std::atomic<uint32_t> gate_{0};  // layout in thread_pool.cpp
    alignas(64) std::atomic<uint32_t> n_sleeping_{0};
    std::atomic<uint32_t> wake_{0};  // changes to wake sleepers
    std::atomic<uint32_t> n_started_{0};
    std::atomic<bool> stop_{false};
    std::atomic<bool> busy_{false};  // for the assertion that regions do not nest

    std::vector<std::thread> threads_;
};

}  // namespace gemlet
