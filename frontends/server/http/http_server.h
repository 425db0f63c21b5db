// HTTP/1.1 as the endpoints see it: a request in, an answer out, whole or in pieces.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/status.h"

namespace gemlet::server {

/// A field of a multipart form.
struct FormField {
    std::string name;
    std::string filename;  // empty: no file
    std::string content;
};

/// Valid while its handler, and the stream of its answer, run.
struct HttpRequest {
    std::string method;
    std::string path;           // one of those given to bind(), or empty
    int fault = 0;              // status that the library refuses the request with; 0: none
    std::string host;           // header, as it came
    std::string origin;         // header: whose page asks; empty where no browser does
    std::string authorization;  // header
    std::string api_key;        // header X-Api-Key
    std::string body;
    bool is_form = false;  // multipart/form-data: `form` instead of `body`
    std::vector<FormField> form;
    /// False when the client is gone. Empty: it never goes.
    std::function<bool()> alive = {};
};

/// The way to the client of one answer.
class HttpSink {
  public:
    virtual ~HttpSink() = default;
    /// Returns false when the client is gone.
    virtual bool write(std::string_view bytes) = 0;
    /// False when the client is gone.
    virtual bool alive() = 0;
};

struct HttpResponse {
    int status = 200;
    std::string type = "application/json";
    std::vector<std::pair<std::string, std::string>> headers = {};
    std::string body = {};
    /// Writes the body in pieces, while the client waits. Returns false to break the connection:
    /// the body is not complete.
    std::function<bool(HttpSink& sink)> stream = {};
    std::string fault = {};  // for whoever runs the server; never sent
};

struct HttpOptions {
    std::string host = "127.0.0.1";
    int port = 8080;         // 0: any that is free
    size_t n_threads = 256;  // connections served at a time; made as they are needed
    size_t max_body_bytes = size_t{64} << 20U;
    int timeout_s = 60;  // of headers, writes and idle connections
};

using HttpHandler = std::function<HttpResponse(const HttpRequest& request)>;

/// Listens on one address. The handler is called from many threads at a time.
class HttpServer {
  public:
    /// Binds the address. Requests for `paths` go to the handler, whatever their method; others
    /// too, with an empty path, and those that are refused before they are read (with `fault`).
    /// Errors: `io` when the address cannot be bound; `unsupported` where the HTTP library was left
    /// out.
    static Result<std::unique_ptr<HttpServer>> bind(const HttpOptions& options,
                                                    const std::vector<std::string>& paths,
                                                    HttpHandler handler);
    ~HttpServer();
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;

    int port() const;
    /// Serves until stop() is called from another thread. Errors: `io`.
    Status serve();
    /// Waits until serve(), called from another thread, has begun.
    void stop();

  private:
    struct Parts;
    explicit HttpServer(std::unique_ptr<Parts> parts);
    std::unique_ptr<Parts> parts_;
};

}  // namespace gemlet::server
