// Threads for connections: made when they are needed, up to a limit.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace gemlet::server {

/// All members may be called from any thread, shutdown() from one, once.
class WorkerPool {
  public:
    explicit WorkerPool(size_t most_threads) : most_threads_(most_threads) {}
    WorkerPool(const WorkerPool&) = delete;
    WorkerPool& operator=(const WorkerPool&) = delete;

    /// Work beyond the limit waits until a thread is free.
    void enqueue(std::function<void()> work);
    /// Work is waiting.
    bool crowded() const;
    /// Finishes all work and ends the threads.
    void shutdown();

  private:
    void run();

    const size_t most_threads_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::function<void()>> work_;  // guarded by mutex_, as all below
    std::vector<std::thread> threads_;
    size_t n_idle_ = 0;
    bool ending_ = false;
};

}  // namespace gemlet::server
