// cpp-httplib does sockets, threads and the parsing of HTTP; nothing else in the program knows it.
// It begins a body that comes in pieces with status 200, so a stream that fails breaks the
// connection: no client takes half an answer for a whole one.
#include <httplib.h>

#include "core/guard.h"
#include "frontends/server/http/http_server.h"

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

HttpRequest request_of(const httplib::Request& from) {
    HttpRequest request;
    request.method = from.method;
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

}  // namespace

struct HttpServer::Parts {
    httplib::Server http;
    HttpHandler handler;
    int port = 0;

    void answer(HttpRequest asked, httplib::Response& to);
};

void HttpServer::Parts::answer(HttpRequest asked, httplib::Response& to) {
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
    to.set_chunked_content_provider(response.type, [request, stream = std::move(response.stream)](
                                                       size_t, httplib::DataSink& out) {
        Sink sink(out);
        bool complete = false;
        const Status done = guard([&] {
            complete = stream(sink);
            return Status();
        });
        if (!done.ok() || !complete) return false;
        out.done();
        return true;
    });
}

HttpServer::HttpServer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
HttpServer::~HttpServer() = default;

Result<std::unique_ptr<HttpServer>> HttpServer::bind(const HttpOptions& options,
                                                     const std::vector<std::string>& paths,
                                                     HttpHandler handler) {
    return guard([&]() -> Result<std::unique_ptr<HttpServer>> {
        auto parts = std::make_unique<Parts>();
        Parts* self = parts.get();
        parts->handler = std::move(handler);
        httplib::Server& http = parts->http;
        http.new_task_queue = [n = options.n_threads] { return new httplib::ThreadPool(n); };
        http.set_payload_max_length(options.max_body_bytes);
        http.set_read_timeout(options.timeout_s);
        http.set_write_timeout(options.timeout_s);
        http.set_keep_alive_timeout(options.timeout_s);
        constexpr size_t kManyRequests = 100000;
        http.set_keep_alive_max_count(kManyRequests);
        http.set_tcp_nodelay(true);
        for (const std::string& path : paths) {
            const auto answer = [self, path](const httplib::Request& from, httplib::Response& to) {
                HttpRequest request = request_of(from);
                request.path = path;
                self->answer(std::move(request), to);
            };
            http.Get(path, answer).Post(path, answer).Put(path, answer);
            http.Patch(path, answer).Delete(path, answer).Options(path, answer);
        }
        http.set_error_handler([self](const httplib::Request& from, httplib::Response& to) {
            // Answers of ours have a body already.
            if (!to.body.empty() || to.content_provider_) return;
            HttpRequest request = request_of(from);
            request.fault = to.status == 404 ? 0 : to.status;
            self->answer(std::move(request), to);
        });
        parts->port = options.port;
        const bool bound = options.port == 0
                               ? (parts->port = http.bind_to_any_port(options.host)) > 0
                               : http.bind_to_port(options.host, options.port);
        if (!bound) {
            return Status(StatusCode::io, "the address cannot be bound (in use?)", options.host,
                          options.port);
        }
        return std::unique_ptr<HttpServer>(new HttpServer(std::move(parts)));
    });
}

int HttpServer::port() const { return parts_->port; }

Status HttpServer::serve() {
    if (parts_->http.listen_after_bind()) return {};
    return {StatusCode::io, "the server cannot listen"};
}

void HttpServer::stop() { parts_->http.stop(); }

}  // namespace gemlet::server
