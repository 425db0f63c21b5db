// A signal handler can reach nothing but static storage: the flag, and what wakes the wait, are the
// program's only mutable globals.
#include "frontends/cli/interrupt.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>

namespace gemlet {
namespace {

std::atomic<bool> g_interrupted = false;
std::atomic<int> g_wake_write = -1;  // a pipe's end that takes a byte for each signal
std::atomic<int> g_wake_read = -1;
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

extern "C" void on_interrupt(int /*signal*/) {
    const int saved = errno;
    g_interrupted.store(true);
    const char byte = 0;
    [[maybe_unused]] const ssize_t n =
        ::write(g_wake_write.load(), &byte, 1);  // full: awake anyhow
    errno = saved;
}

void make_pipe() {
    int ends[2] = {-1, -1};
    if (g_wake_read.load() >= 0 || ::pipe(ends) != 0) return;
    for (const int end : ends) {
        (void)::fcntl(end, F_SETFL, O_NONBLOCK);
        (void)::fcntl(end, F_SETFD, FD_CLOEXEC);
    }
    g_wake_read = ends[0];
    g_wake_write = ends[1];
}

void empty_pipe() {
    char bytes[64];
    while (::read(g_wake_read.load(), bytes, sizeof(bytes)) > 0) {
    }
}

}  // namespace

InterruptScope::InterruptScope(bool repeatable) {
    make_pipe();
    g_interrupted = false;
    empty_pipe();
    struct sigaction action = {};
    action.sa_handler = on_interrupt;
    action.sa_flags = repeatable ? 0 : static_cast<int>(SA_RESETHAND);
    sigaction(SIGINT, &action, &previous_);
}

InterruptScope::~InterruptScope() { sigaction(SIGINT, &previous_, nullptr); }

std::atomic<bool>& InterruptScope::flag() { return g_interrupted; }

// Any thread may take the signal: the pool's block it, but libraries start threads of their own
// (OpenBLAS does before main). Only the pipe tells this thread for sure: the flag is looked at
// first, and a signal after that look makes the pipe readable.
bool InterruptScope::wait_for_input(int fd) {
    pollfd watched[] = {{fd, POLLIN, 0}, {g_wake_read.load(), POLLIN, 0}};
    while (!flag()) {
        const int n = ::poll(watched, 2, -1);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 || watched[0].revents != 0) break;
        empty_pipe();  // of a signal before the scope began
    }
    return !flag();
}

}  // namespace gemlet
