// A thread that has served one connection serves the next: there are as many as there once were
// connections at a time.
#include "frontends/server/http/worker_pool.h"

#include <utility>

#include "core/guard.h"

namespace gemlet::server {

void WorkerPool::enqueue(std::function<void()> work) {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        work_.push_back(std::move(work));
        if (work_.size() > n_idle_ && threads_.size() < most_threads_) {
            // Where the system gives no more threads those that are there do the work.
            (void)guard([&] {
                threads_.emplace_back([this] { run(); });
                return Status();
            });
        }
    }
    changed_.notify_one();
}

bool WorkerPool::crowded() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return work_.size() > n_idle_;
}

void WorkerPool::shutdown() {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        ending_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
}

void WorkerPool::run() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (true) {
        ++n_idle_;
        changed_.wait(lock, [&] { return ending_ || !work_.empty(); });
        --n_idle_;
        if (work_.empty()) return;
        std::function<void()> work = std::move(work_.front());
        work_.pop_front();
        lock.unlock();
        work();
        work = nullptr;
        lock.lock();
    }
}

}  // namespace gemlet::server
