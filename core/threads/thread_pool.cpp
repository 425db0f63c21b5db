// A region must cost less than what it wins, and a decode step has hundreds of regions of some ten
// microseconds. So opening one is a single atomic addition that spinning workers see, and ending it
// waits only for workers that came in: one word, the gate, holds
//
//     bits 0..14   workers inside       bit 15   open       bits 16..31   number of the region
//
// The caller writes the job, opens the gate, works, and when nothing is left to claim closes the
// gate and waits until nobody is inside. A worker that sees a new open region adds itself; what the
// addition returns says whether it really came in while the gate was open. A worker that is late,
// asleep or without a CPU therefore delays nobody: the region is over without it. That, instead of
// a barrier of all workers, is what keeps three threads on two cores usable.
//
// The region's number only keeps a worker from entering twice; that it wraps is harmless.
// Tried on paper and rejected: one word per worker (the caller would write n lines per region), and
// a barrier (every preempted worker stalls everyone for a scheduler tick).
//
// Sleeping: a worker announces itself in n_sleeping_, then looks at the gate once more; the caller
// opens the gate, then looks at n_sleeping_. All four steps are sequentially consistent, so one of
// them sees the other. The caller wakes one worker, and each that wakes wakes two more: waking
// costs the waker some microseconds each, which a chain spreads over the machine.
#include "core/threads/thread_pool.h"

#include <pthread.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>

#include "core/guard.h"
#include "core/threads/cgroup.h"
#include "core/threads/topology.h"

namespace gemlet {
namespace {

constexpr uint32_t kInsideMask = 0x7fff;
constexpr uint32_t kOpen = 0x8000;
constexpr uint32_t kNextRegion = 0x10000;
static_assert(ThreadPool::kMaxWorkers <= kInsideMask);

constexpr uint32_t region_of(uint32_t gate) { return gate / kNextRegion; }
constexpr bool may_enter(uint32_t gate, uint32_t seen) {
    return (gate & kOpen) != 0 && region_of(gate) != seen;
}

void relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");  // "yield" does nothing on most cores; isb takes some ten cycles
#endif
}

// Threads of a library must not take the signals meant for the program: blocked while they start.
class SignalsBlocked {
  public:
    SignalsBlocked() {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &saved_);
    }
    ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &saved_, nullptr); }
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;

  private:
    sigset_t saved_;
};

}  // namespace

Placement place_on_this_machine(size_t n_threads) {
    const std::vector<int32_t> affinity = current_affinity();
    const PlacementRequest request{n_threads, affinity, read_cpu_quota()};
    return place_workers(read_topology(), request);
}

Result<std::unique_ptr<ThreadPool>> ThreadPool::create(const ThreadPoolOptions& options) {
    return guard([&]() -> Result<std::unique_ptr<ThreadPool>> {
        if (options.n_threads > kMaxWorkers) {
            return Status(StatusCode::bad_argument, "too many threads", {},
                          static_cast<int64_t>(options.n_threads));
        }
        return create(options, place_on_this_machine(options.n_threads));
    });
}

Result<std::unique_ptr<ThreadPool>> ThreadPool::create(const ThreadPoolOptions& options,
                                                       const Placement& placement) {
    return guard([&]() -> Result<std::unique_ptr<ThreadPool>> {
        const size_t n_workers = placement.workers.size();
        if (n_workers == 0 || n_workers > kMaxWorkers) {
            return Status(StatusCode::bad_argument, "number of threads is out of range", {},
                          static_cast<int64_t>(n_workers));
        }
        // If a thread cannot be started, the destructor stops those before it.
        std::unique_ptr<ThreadPool> pool(new ThreadPool(options, placement));
        {
            const SignalsBlocked blocked;
            pool->threads_.reserve(n_workers - 1);
            for (size_t worker = 1; worker < n_workers; ++worker) {
                pool->threads_.emplace_back(
                    [raw = pool.get(), worker] { raw->worker_main(worker); });
            }
        }
        for (uint32_t started = 0; started < n_workers - 1; started = pool->n_started_.load()) {
            pool->n_started_.wait(started);
        }
        return pool;
    });
}

ThreadPool::ThreadPool(const ThreadPoolOptions& options, const Placement& placement)
    : places_(placement.workers),
      spin_us_(placement.oversubscribed ? std::min(options.spin_us, 5U) : options.spin_us),
      yielding_(placement.oversubscribed) {
    deal_stretches();
}

// Each worker has a stretch of its own; on nodes with many workers some share one, since opening a
// region writes to every stretch.
void ThreadPool::deal_stretches() {
    constexpr size_t kMostOfNode = 16;
    size_t n_nodes = 1;
    for (const WorkerPlace& place : places_) {
        n_nodes = std::max(n_nodes, static_cast<size_t>(place.node) + 1);
    }
    std::vector<std::vector<size_t>> workers(n_nodes);
    for (size_t worker = 0; worker < places_.size(); ++worker) {
        workers[static_cast<size_t>(places_[worker].node)].push_back(worker);
    }
    stretch_of_.resize(places_.size());
    size_t n_before = 0;
    for (const std::vector<size_t>& of_node : workers) {
        const size_t first = workers_end_.size();
        const size_t n_stretches = std::min(of_node.size(), kMostOfNode);
        workers_end_.resize(first + n_stretches);
        for (size_t i = 0; i < of_node.size(); ++i) {
            const size_t stretch = first + i * n_stretches / of_node.size();
            stretch_of_[of_node[i]] = stretch;
            workers_end_[stretch] = ++n_before;
        }
        nodes_.push_back({first, workers_end_.size()});
    }
    stretches_ = std::make_unique<Stretch[]>(workers_end_.size());
}

ThreadPool::~ThreadPool() {
    GEMLET_ASSERT(!busy_.load());
    stop_.store(true);
    wake_.fetch_add(1);
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
}

void ThreadPool::run(Job job, size_t n_items, size_t grain) noexcept {
    if (n_items == 0) return;
    GEMLET_ASSERT(n_items <= SIZE_MAX / (2 * kMaxWorkers));  // claims run past the end by that much
    grain = std::clamp<size_t>(grain, 1, n_items);
    GEMLET_ASSERT(!busy_.exchange(true));
    if (grain == n_items || n_workers() == 1) {
        for (size_t begin = 0; begin < n_items; begin += grain) {
            job.call(job.context, begin, begin + std::min(grain, n_items - begin), 0);
        }
    } else {
        job_ = job;
        split(n_items, grain);
        gate_.fetch_add(kNextRegion + kOpen);
        if (n_sleeping_.load() != 0) wake_one();
        work(0);
        gate_.fetch_sub(kOpen);
        for (uint32_t tries = 1; (gate_.load(std::memory_order_acquire) & kInsideMask) != 0;
             ++tries) {
            // Whoever is still inside may need this very CPU to finish.
            if (yielding_ || tries % 1024 == 0) {
                std::this_thread::yield();
            } else {
                relax();
            }
        }
    }
    GEMLET_ASSERT(busy_.exchange(false));
}

// Gives each stretch a share of whole grains in proportion to its workers. A stretch and not a
// common queue, because a core reads memory fastest in one long run: taking turns at pieces of
// 64 KiB reached 28 GB/s where two halves reached 40 (two Zen 4 cores).
void ThreadPool::split(size_t n_items, size_t grain) noexcept {
    grain_ = grain;
    const size_t n_grains = n_items / grain + (n_items % grain != 0 ? 1 : 0);
    const size_t workers = n_workers();
    size_t begin = 0;
    for (size_t i = 0; i < workers_end_.size(); ++i) {
        // n_grains * workers_end_ / workers, without the overflow.
        const size_t end_worker = workers_end_[i];
        const size_t end_grain =
            n_grains / workers * end_worker + n_grains % workers * end_worker / workers;
        const size_t end = end_worker == workers ? n_items : end_grain * grain;
        stretches_[i].next.store(begin, std::memory_order_relaxed);
        stretches_[i].end = end;
        begin = end;
    }
}

void ThreadPool::take_all(size_t stretch, size_t worker) noexcept {
    Stretch& from = stretches_[stretch];
    const size_t end = from.end;
    // The look before the addition bounds how far `next` can run past the end.
    while (from.next.load(std::memory_order_relaxed) < end) {
        const size_t begin = from.next.fetch_add(grain_, std::memory_order_relaxed);
        if (begin >= end) break;
        job_.call(job_.context, begin, begin + std::min(grain_, end - begin), worker);
    }
}

// Claims and runs ranges until nothing is left anywhere: own stretch, own node, other nodes.
void ThreadPool::work(size_t worker) noexcept {
    const size_t own = stretch_of_[worker];
    const NodeStretches node = nodes_[static_cast<size_t>(places_[worker].node)];
    const size_t n_all = workers_end_.size();
    take_all(own, worker);
    for (size_t i = own + 1; i < node.end; ++i) take_all(i, worker);
    for (size_t i = node.first; i < own; ++i) take_all(i, worker);
    for (size_t i = node.end; i < n_all; ++i) take_all(i, worker);
    for (size_t i = 0; i < node.first; ++i) take_all(i, worker);
}

void ThreadPool::worker_main(size_t worker) noexcept {
    std::array<char, 16> name{};
    std::snprintf(name.data(), name.size(), "gemlet-%zu", worker);
    pthread_setname_np(pthread_self(), name.data());
    if (places_[worker].pu >= 0) pin_this_thread(places_[worker].pu);
    n_started_.fetch_add(1);
    n_started_.notify_all();

    uint32_t seen = region_of(0);
    while (!stop_.load(std::memory_order_relaxed)) {
        if (!spin_for_region(seen)) {
            sleep(seen);
            continue;
        }
        const uint32_t gate = gate_.fetch_add(1, std::memory_order_acquire);
        if (may_enter(gate, seen)) {
            seen = region_of(gate);
            work(worker);
        }
        gate_.fetch_sub(1, std::memory_order_release);
    }
}

// Returns true once there is a region to enter, false when it is time to sleep or stop.
bool ThreadPool::spin_for_region(uint32_t seen) const noexcept {
    using Clock = std::chrono::steady_clock;
    constexpr int kLooksPerClock = 64;  // reading the clock costs as much as some looks
    const Clock::time_point give_up = Clock::now() + std::chrono::microseconds(spin_us_);
    do {
        for (int look = 0; look < kLooksPerClock; ++look) {
            if (may_enter(gate_.load(std::memory_order_relaxed), seen)) return true;
            relax();
        }
        if (yielding_) std::this_thread::yield();
        if (stop_.load(std::memory_order_relaxed)) return false;
    } while (Clock::now() < give_up);
    return false;
}

void ThreadPool::sleep(uint32_t seen) noexcept {
    n_sleeping_.fetch_add(1);
    const uint32_t wake = wake_.load();
    const bool wait = !may_enter(gate_.load(), seen) && !stop_.load();
    if (wait) wake_.wait(wake);
    const uint32_t others = n_sleeping_.fetch_sub(1) - 1;
    // Only a region that still runs is worth waking more for.
    if (wait && may_enter(gate_.load(std::memory_order_relaxed), seen)) {
        for (uint32_t i = 0; i < std::min(others, 2U); ++i) wake_one();
    }
}

void ThreadPool::wake_one() noexcept {
    wake_.fetch_add(1);
    wake_.notify_one();
}

}  // namespace gemlet
