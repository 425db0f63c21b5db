// Plain construction, in the order in which clients document the members.
#include "frontends/server/completion_json.h"

#include <array>
#include <ctime>
#include <random>

#include "frontends/text/tokenizer/detokenizer.h"

namespace gemlet::server {
namespace {

constexpr const char* kFingerprint = "gemlet-0.1.0";

Json count(size_t n) { return Json::of_integer(static_cast<int64_t>(n)); }

Json milliseconds(int64_t ns) {
    const int64_t us = ns / 1000;
    return Json::of_number(static_cast<double>(us) / 1e3);
}

Json per_second(size_t n, int64_t ns) {
    const double rate = ns > 0 ? static_cast<double>(n) * 1e9 / static_cast<double>(ns) : 0;
    return Json::of_number(static_cast<double>(static_cast<int64_t>(rate * 1e3)) / 1e3);
}

/// {token, logprob, bytes}: where the bytes are no UTF-8 of their own, the token shows U+FFFD.
Json chance_json(const Vocabulary& vocabulary, const TokenChance& chance) {
    const std::string_view bytes = vocabulary.bytes(chance.id);
    Json list = Json::array();
    for (const char c : bytes) list.items.push_back(count(static_cast<unsigned char>(c)));
    Json json = Json::object();
    json.set("token", Json::of(replace_broken_utf8(bytes)))
        .set("logprob", Json::of_number(chance.logprob))
        .set("bytes", std::move(list));
    return json;
}

Json reason_json(std::string_view reason) { return reason.empty() ? Json() : Json::of(reason); }

}  // namespace

std::string random_id(std::string_view prefix, size_t n) {
    constexpr std::string_view kLetters =
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    std::random_device random;
    std::uniform_int_distribution<size_t> any(0, kLetters.size() - 1);
    std::string id(prefix);
    for (size_t i = 0; i < n; ++i) id += kLetters[any(random)];
    return id;
}

AnswerHead make_head(std::string_view prefix, const std::string& model) {
    return {random_id(prefix), model, std::time(nullptr)};
}

void WholeAnswer::add(const AnswerDelta& delta) {
    const chat::ResponseDelta& text = delta.text;
    reasoning += text.reasoning;
    content += text.content;
    calls.insert(calls.end(), text.tool_calls.begin(), text.tool_calls.end());
    logprobs.insert(logprobs.end(), delta.logprobs.begin(), delta.logprobs.end());
}

Json usage_json(std::span<const AnswerCounts> counts, size_t n) {
    AnswerCounts all;
    for (size_t i = 0; i < counts.size(); ++i) {
        if (i % n == 0) {
            all.n_prompt += counts[i].n_prompt;
            all.n_cached += counts[i].n_cached;
        }
        all.n_completion += counts[i].n_completion;
        all.n_reasoning += counts[i].n_reasoning;
    }
    Json prompt = Json::object();
    prompt.set("cached_tokens", count(all.n_cached));
    Json completion = Json::object();
    completion.set("reasoning_tokens", count(all.n_reasoning));
    Json usage = Json::object();
    usage.set("prompt_tokens", count(all.n_prompt))
        .set("completion_tokens", count(all.n_completion))
        .set("total_tokens", count(all.n_prompt + all.n_completion))
        .set("prompt_tokens_details", std::move(prompt))
        .set("completion_tokens_details", std::move(completion));
    return usage;
}

Json timings_json(const AnswerCounts& counts) {
    const size_t n_new = counts.n_prompt - counts.n_cached;
    Json timings = Json::object();
    timings.set("cache_n", count(counts.n_cached))
        .set("prompt_n", count(n_new))
        .set("prompt_ms", milliseconds(counts.prompt_ns))
        .set("prompt_per_second", per_second(n_new, counts.prompt_ns))
        .set("predicted_n", count(counts.n_completion))
        .set("predicted_ms", milliseconds(counts.decode_ns))
        .set("predicted_per_second", per_second(counts.n_completion, counts.decode_ns));
    return timings;
}

Json head_json(const AnswerHead& head, std::string_view object) {
    Json json = Json::object();
    json.set("id", Json::of(head.id))
        .set("object", Json::of(object))
        .set("created", Json::of_integer(head.created))
        .set("model", Json::of(head.model))
        .set("system_fingerprint", Json::of(kFingerprint));
    return json;
}

Json call_json(const chat::ToolCall& call, int64_t index) {
    Json function = Json::object();
    function.set("name", Json::of(call.name)).set("arguments", Json::of(call.arguments));
    Json json = Json::object();
    if (index >= 0) json.set("index", Json::of_integer(index));
    json.set("id", Json::of(random_id("call_")))
        .set("type", Json::of("function"))
        .set("function", std::move(function));
    return json;
}

Json chat_logprobs(const Vocabulary& vocabulary, std::span<const TokenLogprob> logprobs) {
    Json content = Json::array();
    for (const TokenLogprob& one : logprobs) {
        Json top = Json::array();
        for (const TokenChance& chance : one.top) {
            top.items.push_back(chance_json(vocabulary, chance));
        }
        Json token = chance_json(vocabulary, one.drawn);
        token.set("top_logprobs", std::move(top));
        content.items.push_back(std::move(token));
    }
    Json json = Json::object();
    json.set("content", std::move(content)).set("refusal", Json());
    return json;
}

Json text_logprobs(const Vocabulary& vocabulary, std::span<const TokenLogprob> logprobs,
                   size_t& offset) {
    Json tokens = Json::array();
    Json chances = Json::array();
    Json tops = Json::array();
    Json offsets = Json::array();
    for (const TokenLogprob& one : logprobs) {
        const std::string_view bytes = vocabulary.bytes(one.drawn.id);
        tokens.items.push_back(Json::of(replace_broken_utf8(bytes)));
        chances.items.push_back(Json::of_number(one.drawn.logprob));
        Json top = Json::object();
        for (const TokenChance& chance : one.top) {
            top.set(replace_broken_utf8(vocabulary.bytes(chance.id)),
                    Json::of_number(chance.logprob));
        }
        tops.items.push_back(std::move(top));
        offsets.items.push_back(count(offset));
        for (const char c : bytes) offset += (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
    }
    Json json = Json::object();
    json.set("tokens", std::move(tokens))
        .set("token_logprobs", std::move(chances))
        .set("top_logprobs", std::move(tops))
        .set("text_offset", std::move(offsets));
    return json;
}

Json chat_choice(size_t index, const WholeAnswer& answer, std::string_view finish_reason,
                 Json logprobs) {
    Json message = Json::object();
    message.set("role", Json::of("assistant"));
    const bool no_text = answer.content.empty() && !answer.calls.empty();
    message.set("content", no_text ? Json() : Json::of(answer.content));
    if (!answer.reasoning.empty()) message.set("reasoning_content", Json::of(answer.reasoning));
    if (!answer.calls.empty()) {
        Json calls = Json::array();
        for (const chat::ToolCall& call : answer.calls) calls.items.push_back(call_json(call, -1));
        message.set("tool_calls", std::move(calls));
    }
    Json choice = Json::object();
    choice.set("index", count(index))
        .set("message", std::move(message))
        .set("logprobs", std::move(logprobs))
        .set("finish_reason", Json::of(finish_reason));
    return choice;
}

Json chunk_choice(size_t index, Json delta, std::string_view finish_reason, Json logprobs) {
    Json choice = Json::object();
    choice.set("index", count(index))
        .set("delta", std::move(delta))
        .set("logprobs", std::move(logprobs))
        .set("finish_reason", reason_json(finish_reason));
    return choice;
}

Json text_choice(size_t index, std::string_view text, std::string_view finish_reason,
                 Json logprobs) {
    Json choice = Json::object();
    choice.set("index", count(index))
        .set("text", Json::of(text))
        .set("logprobs", std::move(logprobs))
        .set("finish_reason", reason_json(finish_reason));
    return choice;
}

std::string event_of(const Json& json) { return "data: " + write_json(json) + "\n\n"; }

}  // namespace gemlet::server
