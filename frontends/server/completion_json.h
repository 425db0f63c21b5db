// Answers in the form of the OpenAI API. Source: server.md section 3.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "core/json.h"
#include "frontends/server/answer/answer_job.h"
#include "frontends/text/chat/parser.h"
#include "frontends/text/tokenizer/vocabulary.h"

namespace gemlet::server {

/// Letters and digits nobody has had before, behind a prefix.
std::string random_id(std::string_view prefix, size_t n = 24);

/// What is the same in all parts of an answer.
struct AnswerHead {
    std::string id;
    std::string model;
    int64_t created = 0;  // seconds since 1970
};

AnswerHead make_head(std::string_view prefix, const std::string& model);

/// An answer put together from its deltas.
struct WholeAnswer {
    std::string reasoning;
    std::string content;
    std::vector<chat::ToolCall> calls;
    std::vector<TokenLogprob> logprobs;

    void add(const AnswerDelta& delta);
};

/// `n` answers in a row share a prompt.
Json usage_json(std::span<const AnswerCounts> counts, size_t n = 1);
Json timings_json(const AnswerCounts& counts);

/// {id, object, created, model, system_fingerprint}; choices, usage and timings follow.
Json head_json(const AnswerHead& head, std::string_view object);

/// {content: [{token, logprob, bytes, top_logprobs}]}, as chats report them.
Json chat_logprobs(const Vocabulary& vocabulary, std::span<const TokenLogprob> logprobs);
/// {tokens, token_logprobs, top_logprobs, text_offset}, as plain completions do. `offset`, in
/// characters, is where the first token begins, and receives where the last ends.
Json text_logprobs(const Vocabulary& vocabulary, std::span<const TokenLogprob> logprobs,
                   size_t& offset);

/// A choice of a chat completion.
Json chat_choice(size_t index, const WholeAnswer& answer, std::string_view finish_reason,
                 Json logprobs);
/// A choice of a chunk of one; an empty reason is null.
Json chunk_choice(size_t index, Json delta, std::string_view finish_reason, Json logprobs);
/// A call in a delta or a message; `index` below 0 leaves it out.
Json call_json(const chat::ToolCall& call, int64_t index);
/// A choice of a plain completion or a chunk of one; an empty reason is null.
Json text_choice(size_t index, std::string_view text, std::string_view finish_reason,
                 Json logprobs);

/// "data: JSON\n\n"
std::string event_of(const Json& json);

}  // namespace gemlet::server
