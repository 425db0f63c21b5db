// Chat completions: media are encoded and the prompt is made on the client's own thread, so that
// everything that can be wrong with a request is known before it waits for a slot.
#include <algorithm>
#include <chrono>
#include <optional>

#include "frontends/server/answer_writer.h"
#include "frontends/server/api/chat_request.h"
#include "frontends/server/endpoints.h"
#include "frontends/text/chat/prompt.h"
#include "frontends/text/chat/repair.h"
#include "frontends/text/chat/specials.h"
#include "frontends/text/grammar/call_grammar.h"

namespace gemlet::server {
namespace {

/// A chat on its way to a job.
struct Prepared {
    ChatRequest request;
    EncodedMedia media;
    ChatPrompt prompt;
    std::shared_ptr<Grammar> grammar;  // of the answer
    std::shared_ptr<Grammar> call;     // of a call
};

/// Encodes one medium after those that `media` holds. The caller holds media_mutex.
ApiError encode_one(Service& service, const RequestMedium& medium, EncodedMedia& media) {
    MediaSource source{medium.kind};
    source.bytes = medium.bytes;
    source.budget = medium.budget;
    std::vector<MediaFrame> frames;
    for (const RequestFrame& frame : medium.frames) frames.push_back({frame.bytes, frame.seconds});
    source.frames = frames;
    const auto start = std::chrono::steady_clock::now();
    std::string fault_file;
    const Result<EncodedMedia> encoded = encode_media(service.media, {&source, 1}, fault_file);
    if (!encoded && encoded.error().code() == StatusCode::cancelled) {
        service.metrics.count_cancellation();
        return service.draining ? unavailable("shutting down") : client_gone();
    }
    if (!encoded && encoded.error().code() == StatusCode::unsupported) {
        return bad_request(encoded.error().message(), "messages");  // a form of file unknown here
    }
    if (!encoded) return error_of(encoded.error(), "messages");
    const auto took = std::chrono::steady_clock::now() - start;
    service.metrics.count_medium(
        medium.kind, std::chrono::duration_cast<std::chrono::nanoseconds>(took).count());
    media.media.push_back(encoded->media.front());
    media.soft.push_back(encoded->soft.front());
    return {};
}

ApiError encode(Service& service, const ChatRequest& request, const std::function<bool()>& alive,
                EncodedMedia& media) {
    if (request.content.media.empty()) return {};
    const std::lock_guard<std::mutex> lock(service.media_mutex);
    service.media.watch([&] { return service.draining || (alive && !alive()); });
    ApiError error;
    for (const RequestMedium& medium : request.content.media) {
        error = encode_one(service, medium, media);
        if (!error.ok()) break;
    }
    service.media.watch({});
    return error;
}

/// Of what the grammar's library says; the rest quotes rules that the client did not write.
std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

ApiError make_grammar(Service& service, const ChatRequest& request,
                      std::shared_ptr<Grammar>& grammar) {
    if (!request.schema) return {};
    if (request.reasoning == ReasoningFormat::raw) {
        return bad_request("reasoning_format none and response_format exclude each other",
                           "response_format");
    }
    Result<std::shared_ptr<GrammarVocabulary>> vocabulary = grammar_vocabulary(service);
    if (!vocabulary) return error_of(vocabulary.error(), "response_format");
    std::string fault;
    Result<std::unique_ptr<Grammar>> made =
        Grammar::of_schema(std::move(*vocabulary), *request.schema, fault);
    if (!made) return bad_request("response_format: " + first_line(fault), "response_format");
    grammar = std::move(*made);
    return {};
}

/// What no strict function asks for is given up where it cannot be had.
ApiError make_call_grammar(Service& service, const ChatRequest& request,
                           std::shared_ptr<Grammar>& call) {
    if (request.tools.is_null() || request.calls.mode == CallMode::none) return {};
    Result<std::shared_ptr<GrammarVocabulary>> vocabulary = grammar_vocabulary(service);
    if (!vocabulary) {
        return request.strict_tools ? error_of(vocabulary.error(), "tools") : ApiError();
    }
    std::string fault;
    const Result<std::string> rules = call_grammar(request.tools, request.calls.name, fault);
    if (!rules) return bad_request("tools: " + first_line(fault), "tools");
    Result<std::unique_ptr<Grammar>> made =
        Grammar::of_rules(std::move(*vocabulary), *rules, fault);
    if (made) {
        call = std::move(*made);
    } else if (request.strict_tools) {
        return bad_request("tools: " + first_line(fault), "tools");
    }
    return {};
}

/// From a body to token ids.
ApiError prepare(Service& service, const HttpRequest& http, Prepared& out) {
    Json body;
    if (ApiError error = read_body(service, http, body); !error.ok()) return error;
    ApiError error =
        read_chat_request(body, service.model.sampling, service.options.limits, out.request);
    if (!error.ok()) return error;
    error = check_model(service, out.request.generation.model);
    if (error.ok()) error = check_answers(service, out.request.generation.n);
    if (!error.ok()) return error;
    error = make_grammar(service, out.request, out.grammar);
    if (error.ok()) error = make_call_grammar(service, out.request, out.call);
    if (!error.ok()) return error;
    error = encode(service, out.request, http.alive, out.media);
    if (!error.ok()) return error;
    Result<ChatPrompt> prompt =
        make_chat_prompt(service.model, out.request.content.messages, out.request.tools,
                         out.request.rendering, out.media.media);
    if (!prompt) return error_of(prompt.error(), "messages");
    out.prompt = std::move(*prompt);
    return {};
}

GuideRules rules_of(const ChatRequest& request, const Tokenizer& tokenizer) {
    GuideRules rules;
    rules.must_call = request.calls.mode == CallMode::required;
    rules.one_call = !request.calls.several;
    if (!request.calls.name.empty()) {  // all that is known without a grammar
        rules.call_begins = tokenizer.encode("call:" + request.calls.name + "{");
    }
    rules.thought_budget = request.reasoning_budget;
    rules.may_think = request.rendering.enable_thinking;
    rules.may_call = !request.tools.is_null() && request.calls.mode == CallMode::automatic;
    return rules;
}

AnswerTask task_of(Service& service, Prepared prepared) {
    const ChatRequest& request = prepared.request;
    AnswerTask task;
    task.media = prepared.media.place(prepared.prompt.runs);
    task.ids = std::move(prepared.prompt.ids);
    task.soft = std::move(prepared.media.soft);
    task.sampling = request.generation.sampling;
    task.biases = request.generation.biases;
    if (request.calls.mode == CallMode::none) task.banned.push_back(chat::kToolCallOpenId);
    task.stops = request.generation.stops;
    task.rules = rules_of(request, service.model.tokenizer);
    task.rules.grammar = std::move(prepared.grammar);
    if (prepared.call != nullptr) task.rules.call_begins.clear();
    task.rules.call = std::move(prepared.call);
    task.start = prepared.prompt.start;
    task.raw = request.reasoning == ReasoningFormat::raw;
    task.max_tokens = request.generation.max_tokens;
    task.reuse = request.generation.reuse;
    task.n_logprobs = request.generation.n_logprobs;
    return task;
}

std::string shown_model(const Service& service, const GenerationFields& generation) {
    return generation.model.empty() ? service.name() : generation.model;
}

}  // namespace

HttpResponse post_chat(Service& service, const HttpRequest& http) {
    Prepared prepared;
    if (ApiError error = prepare(service, http, prepared); !error.ok()) {
        return error_response(error);
    }
    const size_t context = service.model.engine->options().context;
    if (prepared.prompt.ids.size() >= context) {
        return error_response(context_exceeded(prepared.prompt.ids.size(), context));
    }
    AnswerStyle style;
    const GenerationFields& generation = prepared.request.generation;
    style.head = make_head("chatcmpl-", shown_model(service, generation));
    style.stream = generation.stream;
    style.include_usage = generation.include_usage;
    style.reasoning = prepared.request.reasoning;
    style.n = generation.n;
    if (generation.n_logprobs) style.vocabulary = &service.model.tokenizer.vocabulary();
    WantedJobs jobs;
    if (ApiError error =
            submit_answers(service, task_of(service, std::move(prepared)), style.n, jobs);
        !error.ok()) {
        return error_response(error);
    }
    return chat_response(std::move(style), std::move(jobs), http);
}

HttpResponse post_input_tokens(Service& service, const HttpRequest& http) {
    Prepared prepared;
    if (ApiError error = prepare(service, http, prepared); !error.ok()) {
        return error_response(error);
    }
    Json json = Json::object();
    json.set("object", Json::of("response.input_tokens"))
        .set("input_tokens", Json::of_integer(static_cast<int64_t>(prepared.prompt.ids.size())));
    return json_response(json);
}

HttpResponse post_apply_template(Service& service, const HttpRequest& http) {
    Json body;
    ApiError error = read_body(service, http, body);
    ChatRequest request;
    if (error.ok()) {
        error = read_chat_request(body, service.model.sampling, service.options.limits, request);
    }
    if (!error.ok()) return error_response(error);
    const Result<Json> messages = chat::repair_messages(request.content.messages);
    if (!messages) return error_response(error_of(messages.error(), "messages"));
    const Json tools = request.tools.is_null() ? request.tools : chat::repair_tools(request.tools);
    const Result<chat::Prompt> prompt =
        chat::render_prompt(service.model.chat_template.kind, *messages, tools, request.rendering);
    if (!prompt) return error_response(error_of(prompt.error(), "messages"));
    Json json = Json::object();
    json.set("prompt", Json::of(chat::join_prompt(*prompt)));
    return json_response(json);
}

}  // namespace gemlet::server
