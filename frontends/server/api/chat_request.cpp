// Fields are read in any order and the first that is wrong is reported; what is not known is
// ignored, since clients of other servers send much.
#include "frontends/server/api/chat_request.h"

#include <algorithm>
#include <limits>

namespace gemlet::server {
namespace {

constexpr size_t kLongestName = 64;

bool is_function_name(std::string_view name) {
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '.' || c == '-';
    };
    return !name.empty() && name.size() <= kLongestName &&
           std::all_of(name.begin(), name.end(), allowed);
}

const Json* function_of(const Json& tool) {
    const Json* type = tool.find("type");
    const Json* function = tool.find("function");
    const bool is_function = type == nullptr || (type->is_string() && type->text == "function");
    return is_function && function != nullptr && function->is_object() ? function : nullptr;
}

void read_tools(JsonFields& fields, const Limits& limits, Json& tools, bool& strict) {
    const Json* given = fields.array("tools");
    if (given == nullptr || given->items.empty()) return;
    if (given->items.size() > limits.tools) {
        return fields.refuse("tools", "are more than " + std::to_string(limits.tools));
    }
    for (const Json& tool : given->items) {
        const Json* function = function_of(tool);
        if (function == nullptr) return fields.refuse("tools", "must all be functions");
        const Json* name = function->find("name");
        if (name == nullptr || !name->is_string() || !is_function_name(name->text)) {
            return fields.refuse("tools", "need names of 1 to 64 letters, digits and _ . -");
        }
        const Json* parameters = function->find("parameters");
        if (parameters != nullptr && !parameters->is_null() && !parameters->is_object()) {
            return fields.refuse("tools", "need parameters that are JSON schemas");
        }
        const Json* required = parameters == nullptr ? nullptr : parameters->find("required");
        if (required != nullptr && !required->is_null() && !required->is_array()) {
            return fields.refuse("tools", "need parameters whose required is a list");
        }
        const Json* exact = function->find("strict");
        if (exact != nullptr && exact->is_bool() && exact->boolean) strict = true;
    }
    if (write_json(*given).size() > limits.schema_bytes) {
        return fields.refuse("tools", "are too large");
    }
    tools = *given;
}

bool has_tool(const Json& tools, std::string_view name) {
    return std::any_of(tools.items.begin(), tools.items.end(), [&](const Json& tool) {
        return tool.find("function")->find("name")->text == name;
    });
}

void read_choice(JsonFields& fields, const Json& tools, CallPolicy& calls) {
    calls.several = fields.boolean("parallel_tool_calls").value_or(true);
    const Json* choice = fields.find("tool_choice");
    if (choice == nullptr) return;
    if (choice->is_string()) {
        if (choice->text == "none") {
            calls.mode = CallMode::none;
        } else if (choice->text == "required") {
            calls.mode = CallMode::required;
        } else if (choice->text != "auto") {
            return fields.refuse("tool_choice", "must be auto, none, required or a function");
        }
    } else {
        const Json* function = choice->is_object() ? function_of(*choice) : nullptr;
        const Json* name = function == nullptr ? nullptr : function->find("name");
        if (name == nullptr || !name->is_string() || !has_tool(tools, name->text)) {
            return fields.refuse("tool_choice", "names no function of tools");
        }
        calls.mode = CallMode::required;
        calls.name = name->text;
    }
    if (calls.mode == CallMode::required && tools.is_null()) {
        fields.refuse("tool_choice", "needs tools");
    }
}

/// JSON of any form is that of a schema which says no more than "object".
void read_format(JsonFields& fields, const Limits& limits, std::optional<Json>& schema) {
    const Json* format = fields.object("response_format");
    if (format == nullptr) return;
    const Json* type = format->find("type");
    const std::string name = type != nullptr && type->is_string() ? type->text : "";
    if (name == "text") return;
    if (name != "json_object" && name != "json_schema") {
        return fields.refuse("response_format", "must be text, json_object or json_schema");
    }
    const Json* holder = name == "json_schema" ? format->find("json_schema") : format;
    const Json* given = holder == nullptr ? nullptr : holder->find("schema");
    if (given == nullptr && name == "json_object") {
        schema = Json::object();
        schema->set("type", Json::of("object"));
        return;
    }
    if (given == nullptr || !given->is_object()) {
        return fields.refuse("response_format", "needs a schema that is an object");
    }
    if (write_json(*given).size() > limits.schema_bytes) {
        return fields.refuse("response_format", "has too large a schema");
    }
    schema = *given;
}

/// Thinking: a switch of the template, or OpenAI's word for it.
void read_thinking(JsonFields& fields, chat::RenderOptions& rendering) {
    if (const auto effort = fields.string("reasoning_effort")) {
        rendering.enable_thinking = *effort != "none";
    }
    const Json* given = fields.object("chat_template_kwargs");
    if (given == nullptr) return;
    JsonFields inner(*given, "chat_template_kwargs.");
    if (const auto on = inner.boolean("enable_thinking")) rendering.enable_thinking = *on;
    rendering.preserve_thinking = inner.boolean("preserve_thinking").value_or(false);
    if (!inner.ok()) fields.refuse(inner.error());
}

void read_logprobs(JsonFields& fields, std::optional<size_t>& n_logprobs) {
    const bool wanted = fields.boolean("logprobs").value_or(false);
    const auto top = fields.integer("top_logprobs", 0, kMostLogprobs);
    if (top && !wanted) fields.refuse("top_logprobs", "needs logprobs");
    if (wanted) n_logprobs = static_cast<size_t>(top.value_or(0));
}

void read_reasoning(JsonFields& fields, ChatRequest& out) {
    if (const auto format = fields.string("reasoning_format")) {
        if (*format == "none") {
            out.reasoning = ReasoningFormat::raw;
        } else if (*format == "hide") {
            out.reasoning = ReasoningFormat::hidden;
        } else if (*format != "auto" && *format != "deepseek") {
            fields.refuse("reasoning_format", "must be auto, none or hide");
        }
    }
    // Below 0 means no budget, as elsewhere.
    const auto budget =
        fields.integer("reasoning_budget_tokens", -1, std::numeric_limits<int32_t>::max());
    if (budget && *budget >= 0) out.reasoning_budget = static_cast<size_t>(*budget);
}

/// A last message of the assistant is continued, unless the client says otherwise.
void read_ending(JsonFields& fields, ChatRequest& out) {
    const auto wanted = fields.boolean("continue_final_message");
    out.rendering.add_generation_prompt = fields.boolean("add_generation_prompt").value_or(true);
    if (out.content.messages.items.empty()) return;
    const Json& last = out.content.messages.items.back();
    const Json* content = last.find("content");
    const bool can = last.find("role")->text == "assistant" && last.find("tool_calls") == nullptr &&
                     content != nullptr && content->is_string();
    if (wanted.value_or(false) && !can) {
        fields.refuse("continue_final_message", "needs a last message of the assistant with text");
    }
    out.rendering.continue_final_message = can && wanted.value_or(true);
}

}  // namespace

ApiError read_chat_request(const Json& body, const SamplerOptions& defaults, const Limits& limits,
                           ChatRequest& out) {
    JsonFields fields(body);
    out.generation = read_generation(fields, defaults, limits);
    read_logprobs(fields, out.generation.n_logprobs);
    read_tools(fields, limits, out.tools, out.strict_tools);
    read_choice(fields, out.tools, out.calls);
    read_format(fields, limits, out.schema);
    read_thinking(fields, out.rendering);
    read_reasoning(fields, out);
    if (!fields.ok()) return fields.error();
    const Json* messages = fields.find("messages");
    if (messages == nullptr) return bad_request("messages are missing", "messages");
    if (ApiError error = read_messages(*messages, limits, out.content); !error.ok()) return error;
    read_ending(fields, out);
    return fields.error();
}

}  // namespace gemlet::server
