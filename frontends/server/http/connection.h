// A client's connection: bytes in and out, with a limit on how long and how much of each. What a
// client costs is known before it has sent anything.
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>

namespace gemlet::server {

struct ConnectionLimits {
    int timeout_s = 60;  // until a request begins, until its header is complete, of each write
    size_t header_bytes = size_t{64} << 10U;
    size_t body_bytes = size_t{64} << 20U;
    size_t body_bytes_per_s = size_t{4} << 10U;  // slower ones are broken off after the timeout
    int crowded_s = 2;  // the timeouts that are left while others wait for a thread
    size_t spare_body_bytes = size_t{1} << 20U;  // of a body, that are not counted with all others'
};

/// The bytes that bodies of all connections together may have, beside the first of each.
class BodyBudget {
  public:
    explicit BodyBudget(size_t most) : most_(most) {}
    /// Returns whether there was room.
    bool take(size_t n) {
        if (taken_.fetch_add(n) + n <= most_) return true;
        taken_ -= n;
        return false;
    }
    void give_back(size_t n) { taken_ -= n; }

  private:
    const size_t most_;
    std::atomic<size_t> taken_ = 0;
};

/// Owns a connected socket. One thread.
class Connection {
  public:
    using Clock = std::chrono::steady_clock;

    /// `crowded`: others wait for this one to end; `ending`: the server does. The budget is shared
    /// with all other connections and outlives them.
    Connection(int socket, const ConnectionLimits& limits, BodyBudget& budget,
               std::function<bool()> crowded, std::function<bool()> ending);
    /// Closes. Where the client may still be sending, what was answered reaches it all the same.
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    /// Waits for a request to begin. False: none comes, and the connection should be closed.
    bool wait_for_request();
    /// The header is complete; the body follows. `fault` is the status it is refused with before it
    /// is read, or 0.
    void begin_body(int fault);
    /// Nothing is read any more: this request is the last.
    void close_after_answer() { last_ = true; }
    /// The status that what came so far is refused with; 0: none.
    int fault() const { return fault_; }
    /// Nothing more can be read after this request.
    bool must_close() const { return last_ || broken_ || fault_ != 0; }

    /// As recv and send do, but limited; -1 for a connection that is broken off.
    ssize_t read(char* to, size_t n);
    ssize_t write(const char* from, size_t n);
    /// False when the client is gone.
    bool alive() const;
    int socket() const { return socket_; }

  private:
    enum class Phase : char { idle, header, body };

    bool wait_readable();
    void count_body(size_t n);
    Clock::time_point deadline() const;

    const int socket_;
    const ConnectionLimits limits_;
    BodyBudget& budget_;
    const std::function<bool()> crowded_;
    const std::function<bool()> ending_;
    Phase phase_ = Phase::idle;
    Clock::time_point phase_start_ = Clock::now();
    size_t n_phase_ = 0;  // bytes read in this phase
    size_t n_taken_ = 0;  // of the budget
    int fault_ = 0;
    std::atomic<bool> broken_ = false;  // an answer may be written by another thread
    bool last_ = false;
    std::array<char, 16384> buffer_ = {};
    size_t begin_ = 0;  // of what the buffer holds
    size_t end_ = 0;
};

}  // namespace gemlet::server
