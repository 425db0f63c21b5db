// The body of a chat completion, checked. Source: server.md section 2.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "frontends/server/api/chat_messages.h"
#include "frontends/server/api/generation_fields.h"
#include "frontends/text/chat/renderer.h"

namespace gemlet::server {

/// Whether the model may, must or must not call a function.
enum class CallMode : uint8_t { automatic, none, required };

struct CallPolicy {
    CallMode mode = CallMode::automatic;
    std::string name;     // required: this one; empty: any
    bool several = true;  // parallel_tool_calls
};

/// Where the thought goes: a field of its own, the text (tags included), or nowhere.
enum class ReasoningFormat : uint8_t { separate, raw, hidden };

struct ChatRequest {
    ChatMessages content;
    Json tools;                 // an array, or null
    bool strict_tools = false;  // one of them at least
    CallPolicy calls;
    GenerationFields generation;
    chat::RenderOptions rendering;
    ReasoningFormat reasoning = ReasoningFormat::separate;
    std::optional<size_t> reasoning_budget;  // tokens
    std::optional<Json> schema;              // that the answer must satisfy
};

ApiError read_chat_request(const Json& body, const SamplerOptions& defaults, const Limits& limits,
                           ChatRequest& out);

}  // namespace gemlet::server
