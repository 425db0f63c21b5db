// A signal handler can reach nothing but static storage: this flag is the program's one mutable
// global.
#include "frontends/cli/interrupt.h"

#include <csignal>

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
    sigaction(SIGINT, &action, nullptr);
}

InterruptScope::~InterruptScope() {
    struct sigaction action = {};
    action.sa_handler = SIG_DFL;
    sigaction(SIGINT, &action, nullptr);
}

std::atomic<bool>& InterruptScope::flag() { return g_interrupted; }

}  // namespace gemlet
