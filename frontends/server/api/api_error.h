// What a request is refused with.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/json.h"
#include "core/status.h"

namespace gemlet::server {

/// A refusal in the form of the OpenAI API; http 0: none. See server.md section 5.
struct [[nodiscard]] ApiError {
    int http = 0;
    const char* type = "";
    std::string message;
    std::string param;
    std::optional<size_t> n_prompt_tokens = {};  // exceed_context_size_error
    size_t n_ctx = 0;
    std::string detail = {};  // of a fault of the server, for its log

    bool ok() const { return http == 0; }
    /// {"error": {code, message, type, param}}
    Json json() const;
};

ApiError bad_request(std::string message, std::string_view param = {});
ApiError not_supported(std::string message, std::string_view param = {});
ApiError not_found(std::string message);
ApiError not_allowed(std::string message);
ApiError too_large(std::string message);
ApiError queue_full();
ApiError unavailable(std::string message);
ApiError unauthorized();
ApiError forbidden(std::string message);
ApiError server_fault();
/// Nobody reads it; it is counted.
ApiError client_gone();
ApiError context_exceeded(size_t n_prompt_tokens, size_t n_ctx);

/// What a fault of the library means to a client: what came from the request is the request's
/// fault, the rest the server's, without details.
ApiError error_of(const Status& status, std::string_view param);

}  // namespace gemlet::server
