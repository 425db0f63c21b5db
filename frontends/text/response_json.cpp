// Plain construction; the order of members is the order in which people want to read them.
#include "frontends/text/response_json.h"

namespace gemlet {

Json tool_calls_json(std::span<const chat::ToolCall> calls) {
    Json array = Json::array();
    for (const chat::ToolCall& call : calls) {
        Json function = Json::object();
        function.set("name", Json::of(call.name)).set("arguments", Json::of(call.arguments));
        Json entry = Json::object();
        entry.set("type", Json::of("function")).set("function", std::move(function));
        array.items.push_back(std::move(entry));
    }
    return array;
}

Json response_json(const chat::ParsedResponse& response) {
    Json object = Json::object();
    object
        .set("reasoning_content",
             response.reasoning.empty() ? Json() : Json::of(response.reasoning))
        .set("content", Json::of(response.content))
        .set("tool_calls", tool_calls_json(response.tool_calls))
        .set("finish_reason", Json::of(response.finish_reason));
    return object;
}

}  // namespace gemlet
