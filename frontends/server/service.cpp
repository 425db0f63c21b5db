// A request passes the same gates whatever it asks for: is there such a path, is the key right, is
// the server still taking requests. What fails on the way is an error object, counted like any
// answer.
#include "frontends/server/service.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <chrono>
#include <ctime>
#include <filesystem>

#include "core/guard.h"
#include "frontends/server/endpoints.h"

namespace gemlet::server {
namespace {

struct Route {
    const char* method;
    const char* path;
    HttpResponse (*answer)(Service& service, const HttpRequest& request);
    bool is_versioned;  // answers under /v1 as well
    bool is_open;       // needs no key
};

constexpr std::array kRoutes = {
    Route{"GET", "/", get_page, false, true},
    Route{"GET", "/health", get_health, true, true},
    Route{"GET", "/models", get_models, true, false},
    Route{"GET", "/props", get_props, false, false},
    Route{"GET", "/slots", get_slots, false, false},
    Route{"GET", "/metrics", get_metrics, false, false},
    Route{"POST", "/tokenize", post_tokenize, false, false},
    Route{"POST", "/detokenize", post_detokenize, false, false},
    Route{"POST", "/apply-template", post_apply_template, false, false},
    Route{"POST", "/chat/completions", post_chat, true, false},
    Route{"POST", "/chat/completions/input_tokens", post_input_tokens, true, false},
    Route{"POST", "/completions", post_completions, true, false},
    Route{"POST", "/audio/transcriptions", post_transcriptions, true, false},
    Route{"POST", "/audio/translations", post_translations, true, false},
    Route{"POST", "/embeddings", post_embeddings, true, false},
};

const Route* route_of(std::string_view path) {
    for (const Route& route : kRoutes) {
        if (path == route.path) return &route;
        if (route.is_versioned && path.starts_with("/v1") && path.substr(3) == route.path) {
            return &route;
        }
    }
    return nullptr;
}

/// Takes as long for a wrong key as for the right one, wherever they differ.
bool same_key(std::string_view given, std::string_view key) {
    unsigned difference = given.size() == key.size() ? 0U : 1U;
    for (size_t i = 0; i < key.size(); ++i) {
        const char c = given.empty() ? '\0' : given[i % given.size()];
        difference |= static_cast<unsigned>(static_cast<unsigned char>(c) ^
                                            static_cast<unsigned char>(key[i]));
    }
    return difference == 0;
}

bool is_authorized(const Service& service, const HttpRequest& request) {
    const std::string& key = service.options.api_key;
    if (key.empty()) return true;
    constexpr std::string_view kBearer = "Bearer ";
    const std::string_view header = request.authorization;
    const bool is_bearer = header.starts_with(kBearer);
    const bool by_bearer = same_key(is_bearer ? header.substr(kBearer.size()) : "", key);
    const bool by_header = same_key(request.api_key, key);
    return (is_bearer && by_bearer) || by_header;
}

/// Whether a Host header ("localhost:8080") is a name of this machine. Clients of HTTP/1.0 send
/// none.
bool is_local_name(std::string_view host) {
    if (host.starts_with("[::1]")) return true;
    const std::string_view name = host.substr(0, host.find(':'));
    constexpr std::string_view kLocal = "localhost";
    const auto same = [](char a, char b) {
        return std::tolower(static_cast<unsigned char>(a)) == b;
    };
    const bool is_localhost = std::ranges::equal(name, kLocal, same);
    const bool is_number = name.find_first_not_of("0123456789.") == std::string_view::npos;
    return host.empty() || is_localhost || (is_number && name.starts_with("127."));
}

HttpResponse refusal_of_library(int status) {
    if (status == 429) {
        ApiError error = queue_full();
        error.message = "too many large requests are being read; try again";
        return error_response(error);
    }
    if (status == 413) return error_response(too_large("the body is larger than allowed"));
    if (status == 415) {
        ApiError error = bad_request("packed bodies (Content-Encoding) are not taken");
        error.http = status;
        return error_response(error);
    }
    ApiError error = bad_request("the request is no HTTP that this server understands");
    if (status > 400 && status < 500) error.http = status;
    if (status == 405) error = not_allowed("no such method");
    if (status >= 500) error = server_fault();
    return error_response(error);
}

HttpResponse dispatch(Service& service, const HttpRequest& request) {
    if (request.fault != 0) return refusal_of_library(request.fault);
    const Route* route = route_of(request.path);
    if (route == nullptr) return error_response(not_found("there is no such path"));
    if (request.method == "OPTIONS") {
        HttpResponse response;
        response.status = 204;
        response.headers.emplace_back("Allow", std::string(route->method) + ", OPTIONS");
        return response;
    }
    const bool reads = request.method == "HEAD" && std::string_view(route->method) == "GET";
    if (request.method != route->method && !reads) {
        HttpResponse response =
            error_response(not_allowed(std::string("this path takes ") + route->method + " only"));
        response.headers.emplace_back("Allow", std::string(route->method) + ", OPTIONS");
        return response;
    }
    const bool is_page = !request.origin.empty();
    if (service.options.local_names_only && is_page && !is_local_name(request.host)) {
        return error_response(
            forbidden("without --api-key pages reach this server as localhost only"));
    }
    if (!route->is_open && !is_authorized(service, request)) {
        HttpResponse response = error_response(unauthorized());
        response.headers.emplace_back("WWW-Authenticate", "Bearer");
        return response;
    }
    const bool is_work = std::string_view(route->method) == "POST";
    if (is_work && service.draining) return error_response(unavailable("shutting down"));
    return route->answer(service, request);
}

/// What a request asks, on one line that ends before it is long. Files are left out.
std::string shown_prompt(const HttpRequest& request) {
    constexpr size_t kMostShown = 4096;
    std::string text = request.body.substr(0, kMostShown);
    for (const FormField& field : request.form) {
        if (field.filename.empty()) text += " " + field.name + "=" + field.content;
    }
    text.resize(std::min(text.size(), kMostShown));
    for (char& c : text) {
        if (static_cast<unsigned char>(c) < ' ' || c == '\x7F') c = ' ';  // lines, escapes
    }
    return text;
}

void log_request(const ServiceOptions& options, const HttpRequest& request,
                 const HttpResponse& response, std::chrono::steady_clock::time_point start) {
    if (!options.log || (!options.log_requests && response.fault.empty())) return;
    const auto took = std::chrono::steady_clock::now() - start;
    const int64_t n_ms = std::chrono::duration_cast<std::chrono::milliseconds>(took).count();
    std::string line = request.method + " " + (request.path.empty() ? "other" : request.path) +
                       " " + std::to_string(response.status) + " " + std::to_string(n_ms) + " ms";
    if (!response.fault.empty()) line += ": " + response.fault;
    if (options.log_prompts) line += " " + shown_prompt(request);
    options.log(line);
}

}  // namespace

Service::Service(ChatModel opened, const ServiceOptions& given)
    : options(given),
      model(std::move(opened)),
      started_s(std::time(nullptr)),
      media(*model.engine, given.pictures, given.sounds) {}

Result<std::unique_ptr<Service>> Service::create(ChatModel opened, const ServiceOptions& given) {
    return guard([&]() -> Result<std::unique_ptr<Service>> {
        std::unique_ptr<Service> service(new Service(std::move(opened), given));
        std::string& name = service->options.model_name;
        if (name.empty()) {
            std::filesystem::path path(service->model.engine->checkpoint().path());
            if (!path.has_filename()) path = path.parent_path();  // written with a slash at its end
            name = path.extension() == ".gguf" ? path.stem().string() : path.filename().string();
        }
        Result<std::unique_ptr<Scheduler>> made =
            Scheduler::create(service->model, given.scheduling, service->metrics);
        GEMLET_TRY(made);
        service->scheduler = std::move(*made);
        service->submit = [raw = service.get()](std::shared_ptr<AnswerJob> job) {
            return raw->scheduler->submit(std::move(job));
        };
        return service;
    });
}

Result<std::shared_ptr<GrammarVocabulary>> grammar_vocabulary(Service& service) {
    const std::lock_guard<std::mutex> lock(service.grammar_mutex);
    if (service.grammar == nullptr) {
        Result<std::shared_ptr<GrammarVocabulary>> made = GrammarVocabulary::create(
            service.model.tokenizer.vocabulary(), service.model.engine->config().vocab_size);
        GEMLET_TRY(made);
        service.grammar = std::move(*made);
    }
    return service.grammar;
}

std::vector<std::string> service_paths() {
    std::vector<std::string> paths;
    for (const Route& route : kRoutes) {
        paths.emplace_back(route.path);
        if (route.is_versioned) paths.push_back("/v1" + std::string(route.path));
    }
    return paths;
}

HttpResponse answer_while_loading() {
    HttpResponse response = error_response(unavailable("the model is being loaded"));
    response.headers.emplace_back("Retry-After", "1");
    return response;
}

HttpResponse answer_request(Service& service, const HttpRequest& request) {
    const auto start = std::chrono::steady_clock::now();
    HttpResponse response;
    const Status status = guard([&] {
        response = dispatch(service, request);
        return Status();
    });
    if (!status.ok()) {
        response = error_response(server_fault());
        response.fault = status.message();
    }
    if (!service.options.cors_origin.empty()) {
        auto& headers = response.headers;
        headers.emplace_back("Access-Control-Allow-Origin", service.options.cors_origin);
        headers.emplace_back("Access-Control-Allow-Headers",
                             "Authorization, Content-Type, X-Api-Key");
        headers.emplace_back("Access-Control-Allow-Methods", "GET, POST, OPTIONS");
    }
    service.metrics.count_request(request.path.empty() ? "other" : request.path, response.status);
    log_request(service.options, request, response, start);
    return response;
}

HttpResponse json_response(const Json& body) {
    HttpResponse response;
    response.body = write_json(body);
    return response;
}

HttpResponse error_response(const ApiError& error) {
    HttpResponse response = json_response(error.json());
    response.status = error.http;
    response.fault = error.detail;
    if (error.http == 429) response.headers.emplace_back("Retry-After", "1");
    return response;
}

namespace {

/// What a document would cost to be read.
struct Extent {
    size_t depth = 0;     // deepest nesting of brackets
    size_t n_values = 0;  // members and elements, at most
};

/// Strings are stepped over.
Extent extent_of(std::string_view text) {
    size_t depth = 0;
    Extent extent;
    bool in_string = false;
    for (size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_string) {
            if (c == '\\') ++i;
            in_string = c != '"';
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            extent.depth = std::max(extent.depth, ++depth);
            ++extent.n_values;
        } else if ((c == '}' || c == ']') && depth > 0) {
            --depth;
        } else if (c == ',') {
            ++extent.n_values;
        }
    }
    return extent;
}

}  // namespace

ApiError read_body(const Service& service, const HttpRequest& request, Json& body) {
    if (request.is_form) return bad_request("this path takes application/json");
    if (request.body.size() > service.options.limits.body_bytes) {
        return too_large("the body is larger than allowed");
    }
    const Extent extent = extent_of(request.body);
    if (extent.depth > service.options.limits.json_depth) {
        return bad_request("the body is nested too deeply");
    }
    if (extent.n_values > service.options.limits.json_values) {
        return bad_request("the body has too many values");
    }
    Result<Json> parsed = parse_json(request.body, DuplicateKeys::last_wins);
    if (!parsed) return bad_request("the body is no JSON: " + parsed.error().message());
    if (!parsed->is_object()) return bad_request("the body must be a JSON object");
    body = std::move(*parsed);
    return {};
}

ApiError check_model(const Service& service, std::string_view name) {
    if (!service.options.strict_model || name.empty() || name == service.name()) return {};
    return not_found("there is no model of that name; this server runs " + service.name());
}

ApiError check_answers(const Service& service, size_t n) {
    const size_t most = service.options.scheduling.n_slots;
    if (n <= most) return {};
    return bad_request("n must be at most " + std::to_string(most) +
                           ": so many slots does this server have (--parallel)",
                       "n");
}

ApiError submit_answers(Service& service, const AnswerTask& task, size_t n, WantedJobs& jobs) {
    std::shared_ptr<const AnswerJob> leader;
    for (size_t i = 0; i < n; ++i) {
        AnswerTask one = task;
        one.sampling.seed += i;
        one.leader = leader;
        for (std::shared_ptr<Grammar>* grammar : {&one.rules.grammar, &one.rules.call}) {
            if (leader == nullptr || *grammar == nullptr) continue;
            Result<std::unique_ptr<Grammar>> copied = (*grammar)->copy();
            if (!copied) return server_fault();
            *grammar = std::move(*copied);
        }
        auto job = std::make_shared<AnswerJob>(std::move(one));
        if (leader == nullptr) leader = job;
        jobs.push_back(std::make_shared<WantedJob>(job));
        if (!service.submit(std::move(job))) return queue_full();
    }
    return {};
}

}  // namespace gemlet::server
