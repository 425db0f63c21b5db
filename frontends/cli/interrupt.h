// Ctrl-C as a flag that the work looks at.
#pragma once

#include <atomic>

namespace gemlet {

/// While it lives, Ctrl-C (SIGINT) sets the flag instead of ending the process, and interrupts a
/// read in progress. At most one at a time.
class InterruptScope {
  public:
    /// `repeatable`: a second Ctrl-C does the same again; otherwise it ends the process.
    explicit InterruptScope(bool repeatable);
    ~InterruptScope();
    InterruptScope(const InterruptScope&) = delete;
    InterruptScope& operator=(const InterruptScope&) = delete;

    /// The flag; cleared at construction.
    static std::atomic<bool>& flag();
};

}  // namespace gemlet
