// Stands in for the HTTP library where it is not installed or switched off.
#include "frontends/server/http/http_server.h"

namespace gemlet::server {

struct HttpServer::Parts {};

HttpServer::HttpServer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
HttpServer::~HttpServer() = default;

Result<std::unique_ptr<HttpServer>> HttpServer::bind(const HttpOptions& /*options*/,
                                                     const std::vector<std::string>& /*paths*/,
                                                     HttpHandler /*handler*/) {
    return Status(StatusCode::unsupported, "this build has no server (built without cpp-httplib)");
}

int HttpServer::port() const { return 0; }
Status HttpServer::serve() { return {StatusCode::unsupported, "this build has no server"}; }
void HttpServer::stop() {}

}  // namespace gemlet::server
