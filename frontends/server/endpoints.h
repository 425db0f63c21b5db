// The endpoints, one function each. Source: server.md section 1.
#pragma once

#include <string>
#include <string_view>

#include "core/json.h"
#include "frontends/server/answer_writer.h"
#include "frontends/server/api/api_error.h"
#include "frontends/server/http/http_server.h"
#include "frontends/server/service.h"

namespace gemlet::server {

HttpResponse get_page(Service& service, const HttpRequest& request);
HttpResponse get_health(Service& service, const HttpRequest& request);
HttpResponse get_models(Service& service, const HttpRequest& request);
HttpResponse get_props(Service& service, const HttpRequest& request);
HttpResponse get_slots(Service& service, const HttpRequest& request);
HttpResponse get_metrics(Service& service, const HttpRequest& request);
HttpResponse post_tokenize(Service& service, const HttpRequest& request);
HttpResponse post_detokenize(Service& service, const HttpRequest& request);
HttpResponse post_apply_template(Service& service, const HttpRequest& http);
HttpResponse post_input_tokens(Service& service, const HttpRequest& http);
HttpResponse post_chat(Service& service, const HttpRequest& http);
HttpResponse post_completions(Service& service, const HttpRequest& http);
HttpResponse post_transcriptions(Service& service, const HttpRequest& request);
HttpResponse post_translations(Service& service, const HttpRequest& request);
HttpResponse post_embeddings(Service& service, const HttpRequest& request);

HttpResponse json_response(const Json& body);
HttpResponse error_response(const ApiError& error);
/// Reads the body of a request as a JSON object within the limits.
ApiError read_body(const Service& service, const HttpRequest& request, Json& body);
/// Refuses another model's name where the server is strict.
ApiError check_model(const Service& service, std::string_view name);
/// Refuses more answers to a prompt than there are slots.
ApiError check_answers(const Service& service, size_t n);
/// Submits `n` answers to one prompt, which is computed once, and appends them to `jobs`; each
/// draws by a seed of its own. Errors: a full queue.
ApiError submit_answers(Service& service, const AnswerTask& task, size_t n, WantedJobs& jobs);

}  // namespace gemlet::server
