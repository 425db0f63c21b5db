// A lock that is given in the order in which it was asked for. With std::mutex a thread that takes
// one step after the other can shut everybody else out for seconds.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace gemlet {

/// For std::lock_guard and the like. Meant for work of milliseconds and few threads: each unlocking
/// wakes all who wait.
class TurnLock {
  public:
    void lock() {
        std::unique_lock<std::mutex> guard(mutex_);
        const uint64_t mine = next_++;
        changed_.wait(guard, [&] { return serving_ == mine; });
    }
    void unlock() {
        {
            const std::lock_guard<std::mutex> guard(mutex_);
            ++serving_;
        }
        changed_.notify_all();
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    uint64_t next_ = 0;
    uint64_t serving_ = 0;
};

}  // namespace gemlet
