// A server in this process behind a real socket, and the least client that can talk to it.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <string>

#include "tests/server/server_model.h"

namespace gemlet::server::test {

/// Listens on a free port of loopback while it lives.
class LocalServer {
  public:
    explicit LocalServer(HttpHandler handler) {
        HttpOptions options;
        options.port = 0;
        Result<std::unique_ptr<HttpServer>> bound =
            HttpServer::bind(options, service_paths(), std::move(handler));
        if (!bound) return;  // a build without the HTTP library
        http_ = std::move(*bound);
        serving_ = std::async(std::launch::async, [this] { return http_->serve(); });
    }
    ~LocalServer() {
        if (http_ == nullptr) return;
        http_->stop();
        EXPECT_TRUE(serving_.get().ok());
    }
    LocalServer(const LocalServer&) = delete;
    LocalServer& operator=(const LocalServer&) = delete;

    bool ok() const { return http_ != nullptr; }
    int port() const { return http_->port(); }

  private:
    std::unique_ptr<HttpServer> http_;
    std::future<Status> serving_;
};

struct HttpReply {
    int status = 0;
    std::string head;
    std::string body;

    Json json() const {
        Result<Json> parsed = parse_json(body);
        EXPECT_TRUE(parsed.has_value()) << body;
        return parsed ? *parsed : Json();
    }
};

/// The content of a chunked body; empty where the chunks do not come to their end.
inline std::string without_chunks(const std::string& text) {
    std::string content;
    for (size_t at = 0; at < text.size();) {
        const size_t end = text.find("\r\n", at);
        if (end == std::string::npos) break;
        const size_t n = std::stoul(text.substr(at, end - at), nullptr, 16);
        if (n == 0) return content;
        content += text.substr(end + 2, n);
        at = end + 2 + n + 2;
    }
    return {};
}

/// Sends one request on a connection of its own, and returns that.
inline int send_request(int port, const std::string& method, const std::string& path,
                        const std::string& body) {
    const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    const std::string request = method + " " + path +
                                " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: " +
                                std::to_string(body.size()) + "\r\n\r\n" + body;
    EXPECT_EQ(send(socket, request.data(), request.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(request.size()));
    return socket;
}

/// One request and its answer.
inline HttpReply fetch(int port, const std::string& method, const std::string& path,
                       const std::string& body) {
    const int socket = send_request(port, method, path, body);
    HttpReply reply;
    std::string all;
    std::string block(size_t{1} << 16U, '\0');
    for (ssize_t n = 1; n > 0;) {
        n = recv(socket, block.data(), block.size(), 0);
        if (n > 0) all.append(block, 0, static_cast<size_t>(n));
    }
    close(socket);
    const size_t end = all.find("\r\n\r\n");
    if (end == std::string::npos) return reply;
    reply.status = std::stoi(all.substr(all.find(' ') + 1, 3));
    reply.head = all.substr(0, end);
    reply.body = all.substr(end + 4);
    const bool is_chunked = reply.head.find("chunked") != std::string::npos;
    if (is_chunked) reply.body = without_chunks(reply.body);
    return reply;
}

}  // namespace gemlet::server::test
