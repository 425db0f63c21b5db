// A progress bar on stderr, for work that takes more than a second on a terminal.
#pragma once

#include <chrono>
#include <cstddef>

namespace gemlet {

class ProgressBar {
  public:
    /// `name` must outlive the bar. Shows nothing when stderr is no terminal.
    ProgressBar(const char* name, size_t total);
    /// Clears the line.
    ~ProgressBar();
    ProgressBar(const ProgressBar&) = delete;
    ProgressBar& operator=(const ProgressBar&) = delete;

    /// Draws at most ten times a second, and not before the first second has passed.
    void update(size_t done);

  private:
    using Clock = std::chrono::steady_clock;
    const char* name_;
    size_t total_;
    bool on_terminal_;
    bool drawn_ = false;
    Clock::time_point start_;
    Clock::time_point last_;
};

}  // namespace gemlet
