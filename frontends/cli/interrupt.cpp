// A signal handler can reach nothing but static storage: this flag is the program's one mutable
// global.
#include "frontends/cli/interrupt.h"

#include <poll.h>

#include <cerrno>

namespace gemlet {
namespace {

std::atomic<bool> g_interrupted = false;
static_assert(std::atomic<bool>::is_always_lock_free);

extern "C" void on_interrupt(int /*signal*/) {
    g_interrupted.store(true, std::memory_order_relaxed);
}

}  // namespace

InterruptScope::InterruptScope(bool repeatable) {
    g_interrupted = false;
    struct sigaction action = {};
    action.sa_handler = on_interrupt;
    action.sa_flags = repeatable ? 0 : static_cast<int>(SA_RESETHAND);
    sigaction(SIGINT, &action, &previous_);
}

InterruptScope::~InterruptScope() { sigaction(SIGINT, &previous_, nullptr); }

std::atomic<bool>& InterruptScope::flag() { return g_interrupted; }

// The signal is let in by the wait alone, so it cannot slip in between the look at the flag and the
// wait. Other threads do not take it: the pool's block all signals.
bool InterruptScope::wait_for_input(int fd) {
    sigset_t interrupt;
    sigset_t saved;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    pthread_sigmask(SIG_BLOCK, &interrupt, &saved);
    bool waiting = true;
    while (waiting && !flag()) {
        pollfd input = {fd, POLLIN, 0};
        waiting = ppoll(&input, 1, nullptr, &saved) < 0 && errno == EINTR;
    }
    pthread_sigmask(SIG_SETMASK, &saved, nullptr);
    return !flag();
}

}  // namespace gemlet
