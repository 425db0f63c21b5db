// A parsed response in the form of the OpenAI chat API.
#pragma once

#include <span>

#include "core/json.h"
#include "frontends/text/chat/parser.h"

namespace gemlet {

/// Returns the calls as an array of {type, function: {name, arguments}}, arguments as JSON text.
Json tool_calls_json(std::span<const chat::ToolCall> calls);

/// Returns {reasoning_content, content, tool_calls, finish_reason}; no reasoning is null.
Json response_json(const chat::ParsedResponse& response);

}  // namespace gemlet
