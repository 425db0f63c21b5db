// Ctrl-C as a flag that the work looks at.
#pragma once

#include <atomic>
#include <csignal>

namespace gemlet {

/// Exit code of a command that Ctrl-C ended, as shells report it.
inline constexpr int kInterruptedExit = 130;

/// While it lives, Ctrl-C (SIGINT) sets the flag instead of ending the process, and interrupts a
/// read in progress. Scopes nest: the end of one brings back what Ctrl-C did before.
class InterruptScope {
  public:
    /// `repeatable`: a second Ctrl-C does the same again; otherwise it ends the process.
    explicit InterruptScope(bool repeatable);
    ~InterruptScope();
    InterruptScope(const InterruptScope&) = delete;
    InterruptScope& operator=(const InterruptScope&) = delete;

    /// The flag; cleared at construction.
    static std::atomic<bool>& flag();

    /// Waits until `fd` can be read. Returns false if the flag is set, also if that happened just
    /// before the wait, where a read would go on waiting.
    static bool wait_for_input(int fd);

  private:
    struct sigaction previous_ = {};
};

}  // namespace gemlet
