// Plain completions: prompts as they are, specials in them included, BOS put before those that lack
// it.
#include <algorithm>
#include <limits>

#include "frontends/server/answer_writer.h"
#include "frontends/server/api/generation_fields.h"
#include "frontends/server/endpoints.h"

namespace gemlet::server {
namespace {

constexpr size_t kMostPrompts = 64;

using Ids = std::vector<int32_t>;

bool is_id_list(const Json& value) {
    return value.is_array() && !value.items.empty() && value.items[0].is_number();
}

class PromptReader {
  public:
    PromptReader(const Tokenizer& tokenizer, std::vector<Ids>& out)
        : tokenizer_(tokenizer), out_(out) {}

    ApiError run(const Json* prompt) {
        if (prompt == nullptr) return bad_request("prompt is missing", "prompt");
        if (!prompt->is_array() || is_id_list(*prompt)) return read_one(*prompt);
        if (prompt->items.empty() || prompt->items.size() > kMostPrompts) {
            return bad_request("prompt must list 1 to 64 prompts", "prompt");
        }
        for (const Json& one : prompt->items) {
            if (ApiError error = read_one(one); !error.ok()) return error;
        }
        return {};
    }

  private:
    ApiError read_one(const Json& prompt) {
        Ids ids;
        if (prompt.is_string()) {
            ids = tokenizer_.encode(prompt.text, true);
        } else if (is_id_list(prompt)) {
            for (const Json& id : prompt.items) {
                const bool valid = id.is_number() && id.is_integer && id.number >= 0 &&
                                   id.number < static_cast<double>(tokenizer_.vocabulary_size());
                if (!valid) return bad_request("prompt has an id that is no token", "prompt");
                ids.push_back(static_cast<int32_t>(id.number));
            }
        } else {
            return bad_request("prompt must be a string, a list of token ids, or a list of either",
                               "prompt");
        }
        const Vocabulary& vocabulary = tokenizer_.vocabulary();
        if (vocabulary.add_bos() && (ids.empty() || ids.front() != vocabulary.bos())) {
            ids.insert(ids.begin(), vocabulary.bos());
        }
        if (ids.empty()) return bad_request("prompt is empty", "prompt");
        out_.push_back(std::move(ids));
        return {};
    }

    const Tokenizer& tokenizer_;
    std::vector<Ids>& out_;
};

void refuse_unsupported(JsonFields& fields) {
    if (fields.boolean("echo").value_or(false)) fields.refuse("echo", "is not available");
    if (const Json* suffix = fields.find("suffix"); suffix != nullptr && !suffix->text.empty()) {
        fields.refuse("suffix", "is not available");
    }
    if (const auto best = fields.integer("best_of", 1, std::numeric_limits<int32_t>::max());
        best && *best > 1) {
        fields.refuse("best_of", "is not available");
    }
}

/// Here a number stands for how many alternatives are reported, 0 included.
void read_logprobs(JsonFields& fields, std::optional<size_t>& n_logprobs) {
    const Json* given = fields.find("logprobs");
    if (given != nullptr && given->is_bool()) {
        if (given->boolean) n_logprobs = 0;
        return;
    }
    if (const auto n = fields.integer("logprobs", 0, kMostLogprobs)) {
        n_logprobs = static_cast<size_t>(*n);
    }
}

ApiError read_request(Service& service, const HttpRequest& http, GenerationFields& generation,
                      std::vector<Ids>& prompts) {
    Json body;
    if (ApiError error = read_body(service, http, body); !error.ok()) return error;
    JsonFields fields(body);
    generation = read_generation(fields, service.model.sampling, service.options.limits);
    refuse_unsupported(fields);
    read_logprobs(fields, generation.n_logprobs);
    if (!fields.ok()) return fields.error();
    if (ApiError error = check_model(service, generation.model); !error.ok()) return error;
    if (ApiError error = check_answers(service, generation.n); !error.ok()) return error;
    return PromptReader(service.model.tokenizer, prompts).run(fields.find("prompt"));
}

}  // namespace

HttpResponse post_completions(Service& service, const HttpRequest& http) {
    GenerationFields generation;
    std::vector<Ids> prompts;
    if (ApiError error = read_request(service, http, generation, prompts); !error.ok()) {
        return error_response(error);
    }
    const size_t context = service.model.engine->options().context;
    for (const Ids& ids : prompts) {
        if (ids.size() >= context) return error_response(context_exceeded(ids.size(), context));
    }
    WantedJobs jobs;
    for (Ids& ids : prompts) {
        AnswerTask task;
        task.ids = std::move(ids);
        task.sampling = generation.sampling;
        task.biases = generation.biases;
        task.stops = generation.stops;
        task.raw = true;
        task.max_tokens = generation.max_tokens;
        task.reuse = generation.reuse;
        task.n_logprobs = generation.n_logprobs;
        if (ApiError error = submit_answers(service, task, generation.n, jobs); !error.ok()) {
            return error_response(error);
        }
    }
    AnswerStyle style;
    style.head = make_head("cmpl-", generation.model.empty() ? service.name() : generation.model);
    style.stream = generation.stream;
    style.include_usage = generation.include_usage;
    style.n = generation.n;
    if (generation.n_logprobs) style.vocabulary = &service.model.tokenizer.vocabulary();
    return text_response(std::move(style), std::move(jobs), http);
}

}  // namespace gemlet::server
