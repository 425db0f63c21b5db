// A lock that can be waited for a while. The thread sanitizer of g++ 12 does not know how
// std::timed_mutex waits, and reports races where there are none.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace gemlet::server {

/// For std::unique_lock. Any thread may unlock.
class TimedLock {
  public:
    void lock() {
        std::unique_lock<std::mutex> guard(mutex_);
        changed_.wait(guard, [&] { return !taken_; });
        taken_ = true;
    }
    bool try_lock() { return try_lock_for(std::chrono::milliseconds(0)); }
    /// Returns whether the lock was free within the time.
    bool try_lock_for(std::chrono::milliseconds most) {
        std::unique_lock<std::mutex> guard(mutex_);
        if (!changed_.wait_for(guard, most, [&] { return !taken_; })) return false;
        taken_ = true;
        return true;
    }
    void unlock() {
        {
            const std::lock_guard<std::mutex> guard(mutex_);
            taken_ = false;
        }
        changed_.notify_one();
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool taken_ = false;  // guarded by mutex_
};

}  // namespace gemlet::server
