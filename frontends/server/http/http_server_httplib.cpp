// cpp-httplib listens, parses HTTP and writes it; nothing else in the program knows it. Connections
// and threads are ours, since the library lets a client hold a thread for as long as it likes,
// reads bodies that are too large to their end and unpacks what is packed. It begins a body that
// comes in pieces with status 200, so a stream that fails breaks the connection: no client takes
// half an answer for a whole one.
#include <httplib.h>

#include <atomic>
#include <charconv>
#include <map>
#include <mutex>
#include <thread>

#include "core/guard.h"
#include "frontends/server/http/connection.h"
#include "frontends/server/http/http_server.h"
#include "frontends/server/http/worker_pool.h"

namespace gemlet::server {
namespace {

class Sink final : public HttpSink {
  public:
    explicit Sink(httplib::DataSink& sink) : sink_(sink) {}
    bool write(std::string_view bytes) override {
        return sink_.is_writable() && sink_.write(bytes.data(), bytes.size());
    }
    bool alive() override { return sink_.is_writable(); }

  private:
    httplib::DataSink& sink_;
};

/// A connection as the library wants it. What says no `override` is of some of its versions only.
class ConnectionStream : public httplib::Stream {
  public:
    explicit ConnectionStream(Connection& connection) : connection_(connection) {}
    using httplib::Stream::write;
    bool is_readable() const override { return !connection_.must_close(); }
    bool wait_readable() const { return !connection_.must_close(); }
    bool is_writable() const { return connection_.alive(); }  // NOLINT(*-override)
    bool wait_writable() const { return connection_.alive(); }
    bool is_peer_alive() const { return connection_.alive(); }
    ssize_t read(char* to, size_t n) override { return connection_.read(to, n); }
    ssize_t write(const char* from, size_t n) override { return connection_.write(from, n); }
    void get_remote_ip_and_port(std::string& /*ip*/, int& /*port*/) const override {}
    void get_local_ip_and_port(std::string& /*ip*/, int& /*port*/) const override {}
    socket_t socket() const override { return connection_.socket(); }
    time_t duration() const { return 0; }

  private:
    Connection& connection_;
};

class PoolQueue final : public httplib::TaskQueue {
  public:
    explicit PoolQueue(WorkerPool& pool) : pool_(pool) {}
    // Newer versions want to know whether there was room; there always is.
    template <class Work>
    bool add(Work work) {
        pool_.enqueue(std::move(work));
        return true;
    }
    decltype(std::declval<httplib::TaskQueue>().enqueue({})) enqueue(
        std::function<void()> work) override {
        using Answer = decltype(std::declval<httplib::TaskQueue>().enqueue({}));
        return static_cast<Answer>(add(std::move(work)));
    }
    void shutdown() override { pool_.shutdown(); }

  private:
    WorkerPool& pool_;
};

constexpr const char* kOldVersion = "HTTP/1.0";

/// The status that a request is refused with before its body is read; 0: none.
int fault_of(const httplib::Request& request, size_t most_bytes) {
    const std::string packing = request.get_header_value("Content-Encoding");
    if (!packing.empty() && packing != "identity") return 415;
    if (request.has_header("Transfer-Encoding") &&
        request.get_header_value("Transfer-Encoding") != "chunked") {
        return 400;
    }
    if (!request.has_header("Content-Length")) return 0;
    const std::string text = request.get_header_value("Content-Length");
    size_t n = 0;
    const auto end = std::from_chars(text.data(), text.data() + text.size(), n);
    if (end.ec == std::errc::result_out_of_range) return 413;
    const bool is_number = end.ec == std::errc() && end.ptr == text.data() + text.size();
    // Of two lengths, or of a length beside chunks, either may be the lie.
    const bool is_clear = request.get_header_value_count("Content-Length") == 1 &&
                          !request.has_header("Transfer-Encoding");
    if (!is_number || !is_clear) return 400;
    return n > most_bytes ? 413 : 0;
}

bool may_have_body(const std::string& method) {
    return method != "GET" && method != "HEAD" && method != "OPTIONS";
}

HttpRequest request_of(const httplib::Request& from) {
    HttpRequest request;
    request.method = from.method;
    request.host = from.get_header_value("Host");
    request.origin = from.get_header_value("Origin");
    request.authorization = from.get_header_value("Authorization");
    request.api_key = from.get_header_value("X-Api-Key");
    request.is_form = from.is_multipart_form_data();
    if (request.is_form) {
        for (const auto& [name, file] : from.files) {
            request.form.push_back({name, file.filename, file.content});
        }
    } else {
        request.body = from.body;
    }
    return request;
}

/// The library's server with connections of ours.
class Listener final : public httplib::Server {
  public:
    explicit Listener(const HttpOptions& options)
        : budget_(kBodiesAtATime * options.max_body_bytes), pool_(options.n_threads) {
        limits_.timeout_s = options.timeout_s;
        limits_.body_bytes = options.max_body_bytes;
        // What answers promise is what connections do.
        set_keep_alive_timeout(options.timeout_s);
        set_keep_alive_max_count(kRequestsOfConnection);
        new_task_queue = [this] { return new PoolQueue(pool_); };
    }

    /// After binding: the library lets five connections wait to be accepted, and the system then
    /// lets others wait for a second or more.
    void widen_queue() {
        constexpr int kWaiting = 512;
        (void)::listen(svr_sock_, kWaiting);
    }
    /// No connection waits for another request.
    void end() { ending_ = true; }
    /// The connection that this thread serves, in handlers never null.
    Connection* connection() {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = connections_.find(std::this_thread::get_id());
        return found == connections_.end() ? nullptr : found->second;
    }
    /// The status that the request of this thread is refused with; 0: none.
    int fault() {
        const Connection* of_thread = connection();
        return of_thread == nullptr ? 0 : of_thread->fault();
    }

  private:
    bool process_and_close_socket(socket_t socket) override {
        Connection connection(
            socket, limits_, budget_, [this] { return pool_.crowded(); },
            [this] { return ending_.load(); });
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            connections_[std::this_thread::get_id()] = &connection;
        }
        ConnectionStream stream(connection);
        bool ends = false;
        for (size_t n = 0; !ends && n < kRequestsOfConnection && !connection.must_close() &&
                           connection.wait_for_request();
             ++n) {
            bool has_begun = false;
            bool is_last = false;
            const bool done = process(*this, stream, ends, [&](httplib::Request& request) {
                has_begun = true;
                is_last = begin_body(connection, request);
            });
            // After what was no header nobody knows where the next request begins.
            if (!has_begun) connection.close_after_answer();
            ends = ends || is_last || !done || ending_;
        }
        const std::lock_guard<std::mutex> lock(mutex_);
        connections_.erase(std::this_thread::get_id());
        return true;
    }

    /// Returns whether the connection ends with this request.
    bool begin_body(Connection& connection, httplib::Request& request) {
        connection.begin_body(fault_of(request, limits_.body_bytes));
        request.ranges.clear();  // answers are never cut to pieces
        // What `curl -d` calls a form is JSON here. The library takes 8 KB of those and parses
        // them.
        if (!request.is_multipart_form_data()) request.headers.erase("Content-Type");
        if (!may_have_body(request.method) &&
            (request.has_header("Content-Length") || request.has_header("Transfer-Encoding"))) {
            connection.close_after_answer();  // what follows is no request
        }
        // The end of the connection is how such a client knows the end of a stream.
        const bool is_last = connection.must_close() || request.version == kOldVersion;
        if (is_last) {
            request.headers.erase("Connection");
            request.headers.emplace("Connection", "close");  // is said in the answer
        }
        return is_last;
    }

    /// Newer versions want to be told the addresses.
    template <class Self, class Setup>
    static bool process(Self& self, httplib::Stream& stream, bool& ends, const Setup& setup) {
        if constexpr (requires { self.process_request(stream, false, ends, setup); }) {
            return self.process_request(stream, false, ends, setup);
        } else {
            return self.process_request(stream, std::string(), 0, std::string(), 0, false, ends,
                                        setup);
        }
    }

    static constexpr size_t kBodiesAtATime = 4;  // of the largest size
    static constexpr size_t kRequestsOfConnection = 10000;

    ConnectionLimits limits_;
    BodyBudget budget_;
    WorkerPool pool_;
    std::atomic<bool> ending_ = false;
    std::mutex mutex_;
    std::map<std::thread::id, Connection*> connections_;  // guarded by mutex_; by serving thread
};

}  // namespace

struct HttpServer::Parts {
    explicit Parts(const HttpOptions& options) : http(options) {}

    Listener http;
    HttpHandler handler;
    int port = 0;
    std::atomic<bool> ended = false;  // serve() returned

    /// `is_old`: the client knows no chunks.
    void answer(HttpRequest asked, bool is_old, httplib::Response& to);
    void refuse(const httplib::Request& from, int fault, httplib::Response& to);
};

void HttpServer::Parts::refuse(const httplib::Request& from, int fault, httplib::Response& to) {
    HttpRequest request = request_of(from);
    request.fault = fault;
    answer(std::move(request), from.version == kOldVersion, to);
}

void HttpServer::Parts::answer(HttpRequest asked, bool is_old, httplib::Response& to) {
    const auto request = std::make_shared<HttpRequest>(std::move(asked));
    HttpResponse response;
    const Status status = guard([&] {
        response = handler(*request);
        return Status();
    });
    if (!status.ok()) {
        response = {};
        response.status = 500;
        response.body = R"({"error":{"code":500,"message":"the server failed","type":)"
                        R"("server_error","param":null}})";
    }
    to.status = response.status;
    for (const auto& [name, value] : response.headers) to.set_header(name, value);
    if (!response.stream) return to.set_content(response.body, response.type);
    const auto write = [request, stream = std::move(response.stream)](size_t,
                                                                      httplib::DataSink& out) {
        Sink sink(out);
        bool complete = false;
        const Status done = guard([&] {
            complete = stream(sink);
            return Status();
        });
        if (!done.ok() || !complete) return false;
        out.done();
        return true;
    };
    if (is_old) return to.set_content_provider(response.type, write);
    to.set_chunked_content_provider(response.type, write);
}

HttpServer::HttpServer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
HttpServer::~HttpServer() = default;

Result<std::unique_ptr<HttpServer>> HttpServer::bind(const HttpOptions& options,
                                                     const std::vector<std::string>& paths,
                                                     HttpHandler handler) {
    return guard([&]() -> Result<std::unique_ptr<HttpServer>> {
        auto parts = std::make_unique<Parts>(options);
        Parts* self = parts.get();
        parts->handler = std::move(handler);
        Listener& http = parts->http;
        http.set_payload_max_length(options.max_body_bytes);
        http.set_tcp_nodelay(true);
        // The library's own choice lets two servers share a port, and clients meet either.
        http.set_socket_options([](socket_t socket) {
            const int on = 1;
            (void)setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        });
        http.set_pre_routing_handler([self](const httplib::Request& from, httplib::Response& to) {
            const int fault = self->http.fault();
            if (fault == 0) return httplib::Server::HandlerResponse::Unhandled;
            self->refuse(from, fault, to);
            return httplib::Server::HandlerResponse::Handled;
        });
        http.set_expect_100_continue_handler(
            [self](const httplib::Request& /*from*/, httplib::Response& to) {
                const int fault = self->http.fault();
                return fault == 0 ? 100 : (to.status = fault);
            });
        for (const std::string& path : paths) {
            const auto answer = [self, path](const httplib::Request& from, httplib::Response& to) {
                HttpRequest request = request_of(from);
                request.path = path;
                request.alive = [connection = self->http.connection()] {
                    return connection == nullptr || connection->alive();
                };
                self->answer(std::move(request), from.version == kOldVersion, to);
            };
            http.Get(path, answer).Post(path, answer).Put(path, answer);
            http.Patch(path, answer).Delete(path, answer).Options(path, answer);
        }
        http.set_error_handler([self](const httplib::Request& from, httplib::Response& to) {
            // Answers of ours have a body already.
            if (!to.body.empty() || to.content_provider_) return;
            const int fault = self->http.fault();
            self->refuse(from, fault != 0 ? fault : to.status == 404 ? 0 : to.status, to);
        });
        parts->port = options.port;
        const bool bound = options.port == 0
                               ? (parts->port = http.bind_to_any_port(options.host)) > 0
                               : http.bind_to_port(options.host, options.port);
        if (!bound) {
            return Status(StatusCode::io, "the address cannot be bound (in use?)", options.host,
                          options.port);
        }
        http.widen_queue();
        return std::unique_ptr<HttpServer>(new HttpServer(std::move(parts)));
    });
}

int HttpServer::port() const { return parts_->port; }

Status HttpServer::serve() {
    const bool served = parts_->http.listen_after_bind();
    parts_->ended = true;
    if (served) return {};
    return {StatusCode::io, "the server cannot listen"};
}

void HttpServer::stop() {
    parts_->http.end();
    // The library overlooks a stop that comes before it listens.
    while (!parts_->http.is_running() && !parts_->ended) std::this_thread::yield();
    parts_->http.stop();
}

}  // namespace gemlet::server
