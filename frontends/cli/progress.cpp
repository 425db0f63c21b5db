// One line, rewritten in place.
#include "frontends/cli/progress.h"

#include <unistd.h>

#include <cstdio>
#include <string>

namespace gemlet {

ProgressBar::ProgressBar(const char* name, size_t total)
    : name_(name),
      total_(total == 0 ? 1 : total),
      on_terminal_(isatty(STDERR_FILENO) != 0),
      start_(Clock::now()),
      last_(start_) {}

ProgressBar::~ProgressBar() {
    if (drawn_) std::fputs("\r\033[K", stderr);
}

void ProgressBar::update(size_t done) {
    constexpr size_t kWidth = 30;
    if (!on_terminal_) return;
    const Clock::time_point now = Clock::now();
    if (now - start_ < std::chrono::seconds(1)) return;
    if (now - last_ < std::chrono::milliseconds(100)) return;
    last_ = now;
    drawn_ = true;
    const size_t filled = done * kWidth / total_;
    const double elapsed_s = std::chrono::duration<double>(now - start_).count();
    const double left_s =
        done == 0 ? 0 : elapsed_s * static_cast<double>(total_ - done) / static_cast<double>(done);
    const std::string bar = std::string(filled, '#') + std::string(kWidth - filled, ' ');
    std::fprintf(stderr, "\r%s [%s] %zu of %zu, %.0f s left ", name_, bar.c_str(), done, total_,
                 left_s);
}

}  // namespace gemlet
