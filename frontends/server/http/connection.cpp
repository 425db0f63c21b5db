// Waiting is cut into moments, after each of which the limits are looked at: who sends a byte now
// and then, or nothing, holds a thread for a while and no longer.
#include "frontends/server/http/connection.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace gemlet::server {
namespace {

constexpr std::chrono::milliseconds kMoment{100};
constexpr std::chrono::milliseconds kFarewell{500};
constexpr size_t kMostFarewellBytes = size_t{8} << 20U;

/// Returns whether the event came within the time.
bool wait_for(int socket, short events, std::chrono::milliseconds most) {
    pollfd entry = {socket, events, 0};
    return poll(&entry, 1, static_cast<int>(most.count())) > 0;
}

}  // namespace

Connection::Connection(int socket, const ConnectionLimits& limits, BodyBudget& budget,
                       std::function<bool()> crowded, std::function<bool()> ending)
    : socket_(socket),
      limits_(limits),
      budget_(budget),
      crowded_(std::move(crowded)),
      ending_(std::move(ending)) {}

Connection::~Connection() {
    // Closing a socket with unread bytes resets it, and the client may lose the answer.
    (void)shutdown(socket_, SHUT_WR);
    const Clock::time_point end = Clock::now() + kFarewell;
    size_t n_thrown_away = 0;
    while (must_close() && Clock::now() < end && n_thrown_away < kMostFarewellBytes) {
        if (!wait_for(socket_, POLLIN, kMoment)) continue;
        const ssize_t n = recv(socket_, buffer_.data(), buffer_.size(), 0);
        if (n <= 0) break;
        n_thrown_away += static_cast<size_t>(n);
    }
    close(socket_);
    budget_.give_back(n_taken_);
}

bool Connection::wait_for_request() {
    phase_ = Phase::idle;
    phase_start_ = Clock::now();
    n_phase_ = 0;
    budget_.give_back(std::exchange(n_taken_, 0));
    if (begin_ == end_ && !wait_readable()) return false;
    phase_ = Phase::header;
    phase_start_ = Clock::now();
    n_phase_ = end_ - begin_;
    return true;
}

void Connection::begin_body(int fault) {
    fault_ = fault;
    phase_ = Phase::body;
    phase_start_ = Clock::now();
    n_phase_ = end_ - begin_;
}

Connection::Clock::time_point Connection::deadline() const {
    std::chrono::seconds most(limits_.timeout_s);
    if (phase_ == Phase::body) {
        most += std::chrono::seconds(n_phase_ / limits_.body_bytes_per_s);
    } else if (crowded_()) {
        most = std::min(most, std::chrono::seconds(limits_.crowded_s));
    }
    return phase_start_ + most;
}

bool Connection::wait_readable() {
    while (!wait_for(socket_, POLLIN, kMoment)) {
        if (phase_ == Phase::idle && ending_()) return false;
        if (Clock::now() >= deadline()) return false;
    }
    return true;
}

/// What is beyond a small body is taken from the budget of all, so that many large ones at a time
/// are refused before they fill the memory, and small ones never are.
void Connection::count_body(size_t n) {
    n_phase_ += n;
    if (phase_ != Phase::body || n_phase_ <= limits_.spare_body_bytes) return;
    const size_t n_more = n_phase_ - limits_.spare_body_bytes - n_taken_;
    if (budget_.take(n_more)) {
        n_taken_ += n_more;
    } else {
        fault_ = 429;
    }
}

ssize_t Connection::read(char* to, size_t n) {
    if (must_close()) return -1;
    if (begin_ == end_) {
        const size_t most = phase_ == Phase::body ? limits_.body_bytes : limits_.header_bytes;
        if (n_phase_ >= most) fault_ = phase_ == Phase::body ? 413 : 400;
        if (fault_ == 0 && (Clock::now() >= deadline() || !wait_readable())) fault_ = 408;
        if (fault_ != 0) return -1;
        const ssize_t got = recv(socket_, buffer_.data(), buffer_.size(), 0);
        if (got <= 0) {
            broken_ = true;
            return got;
        }
        begin_ = 0;
        end_ = static_cast<size_t>(got);
        count_body(end_);
        if (fault_ != 0) return -1;
    }
    const size_t n_given = std::min(n, end_ - begin_);
    std::memcpy(to, buffer_.data() + begin_, n_given);
    begin_ += n_given;
    return static_cast<ssize_t>(n_given);
}

ssize_t Connection::write(const char* from, size_t n) {
    const Clock::time_point end = Clock::now() + std::chrono::seconds(limits_.timeout_s);
    while (!broken_) {
        const ssize_t sent = send(socket_, from, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0) return sent;
        const bool is_full = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
        if (!is_full || Clock::now() >= end) broken_ = true;
        if (!broken_) (void)wait_for(socket_, POLLOUT, kMoment);
    }
    return -1;
}

bool Connection::alive() const {
    if (broken_) return false;
    char byte = 0;
    const ssize_t n = recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR));
}

}  // namespace gemlet::server
