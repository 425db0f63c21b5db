// One constructor a kind, so that codes and types are paired in one place.
#include "frontends/server/api/api_error.h"

namespace gemlet::server {

Json ApiError::json() const {
    Json error = Json::object();
    error.set("code", Json::of_integer(http))
        .set("message", Json::of(message))
        .set("type", Json::of(type))
        .set("param", param.empty() ? Json() : Json::of(param));
    if (n_prompt_tokens) {
        error.set("n_prompt_tokens", Json::of_integer(static_cast<int64_t>(*n_prompt_tokens)))
            .set("n_ctx", Json::of_integer(static_cast<int64_t>(n_ctx)));
    }
    Json out = Json::object();
    out.set("error", std::move(error));
    return out;
}

ApiError bad_request(std::string message, std::string_view param) {
    return {400, "invalid_request_error", std::move(message), std::string(param)};
}
ApiError not_supported(std::string message, std::string_view param) {
    return {501, "not_supported_error", std::move(message), std::string(param)};
}
ApiError not_found(std::string message) { return {404, "not_found_error", std::move(message), {}}; }
ApiError not_allowed(std::string message) {
    return {405, "not_found_error", std::move(message), {}};
}
ApiError too_large(std::string message) {
    return {413, "invalid_request_error", std::move(message), {}};
}
ApiError queue_full() {
    return {429, "rate_limit_error", "all slots are busy and the queue is full; try again", {}};
}
ApiError unavailable(std::string message) {
    return {503, "unavailable_error", std::move(message), {}};
}
ApiError unauthorized() {
    return {401, "authentication_error", "the API key is missing or wrong", {}};
}
ApiError forbidden(std::string message) {
    return {403, "permission_error", std::move(message), {}};
}
ApiError server_fault() { return {500, "server_error", "the server failed; see its log", {}}; }

ApiError client_gone() { return {499, "client_gone", "the client went away", {}}; }

ApiError context_exceeded(size_t n_prompt_tokens, size_t n_ctx) {
    ApiError error = {400,
                      "exceed_context_size_error",
                      "the prompt has " + std::to_string(n_prompt_tokens) +
                          " tokens, and the context holds " + std::to_string(n_ctx),
                      {}};
    error.n_prompt_tokens = n_prompt_tokens;
    error.n_ctx = n_ctx;
    return error;
}

ApiError error_of(const Status& status, std::string_view param) {
    switch (status.code()) {
        case StatusCode::ok:
            return {};
        case StatusCode::bad_argument:
        case StatusCode::corrupt:
            return bad_request(status.message(), param);
        case StatusCode::unsupported:
        case StatusCode::not_found:  // a part of the model
            return not_supported(status.message(), param);
        case StatusCode::out_of_memory:
            return unavailable("not enough memory for this request");
        case StatusCode::cancelled:
            return unavailable("the request was cancelled");
        case StatusCode::io:
        case StatusCode::context_full:
            break;
    }
    ApiError error = server_fault();
    error.detail = status.message();
    return error;
}

}  // namespace gemlet::server
