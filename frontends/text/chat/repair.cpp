// Repairs work on copies. Schemas may refer to themselves, so inlining is bounded by depth and by
// the number of schemas visited; what lies beyond stays as it is.
#include "frontends/text/chat/repair.h"

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <string_view>
#include <utility>
#include <vector>

#include "frontends/text/chat/python_text.h"
#include "frontends/text/chat/renderer.h"

namespace gemlet::chat {
namespace {

Json* find_member(Json& object, std::string_view key) {
    for (Json::Member& member : object.members) {
        if (member.first == key) return &member.second;
    }
    return nullptr;
}

void erase_members(Json& object, std::initializer_list<std::string_view> keys) {
    auto& members = object.members;
    const auto listed = [&](const Json::Member& member) {
        return std::find(keys.begin(), keys.end(), member.first) != keys.end();
    };
    members.erase(std::remove_if(members.begin(), members.end(), listed), members.end());
}

Status parse_arguments(Json& function, size_t index) {
    Json* arguments = find_member(function, "arguments");
    if (arguments == nullptr) {
        function.set("arguments", Json());
        return {};
    }
    if (!arguments->is_string()) return {};
    auto parsed = parse_json(arguments->text, DuplicateKeys::last_wins);
    if (!parsed || !(parsed->is_object() || parsed->is_null())) {
        return {StatusCode::bad_argument, "the arguments of a tool call must be a JSON object",
                "messages", static_cast<int64_t>(index)};
    }
    *arguments = *std::move(parsed);
    return {};
}

bool has_visible_content(const Json& message) {
    const Json* content = message.find("content");
    if (content == nullptr) return false;
    if (content->is_string()) return !python_strip(without_thoughts(content->text)).empty();
    return std::any_of(content->items.begin(), content->items.end(), [](const Json& part) {
        const Json* text = part.find("text");
        return text == nullptr || !text->is_string() ||
               !python_strip(without_thoughts(text->text)).empty();
    });
}

Status repair_assistant(Json message, size_t index, std::vector<Json>& out) {
    if (is_truthy(message.find("thinking")) && !is_truthy(message.find("reasoning")) &&
        !is_truthy(message.find("reasoning_content"))) {
        Json thinking = *message.find("thinking");
        message.set("reasoning_content", std::move(thinking));
    }
    Json* calls = find_member(message, "tool_calls");
    if (!is_truthy(calls)) {
        out.push_back(std::move(message));
        return {};
    }
    for (Json& call : calls->items) {
        Json* function = find_member(call, "function");
        if (function != nullptr && function->is_object()) {
            GEMLET_TRY(parse_arguments(*function, index));
        }
    }
    if (!has_visible_content(message)) {
        out.push_back(std::move(message));
        return {};
    }
    Json text = message;
    Json rest = std::move(message);
    erase_members(text, {"tool_calls", "tool_responses"});
    erase_members(rest, {"content"});
    const bool has_results = is_truthy(rest.find("tool_responses"));
    erase_members(has_results ? text : rest, {"reasoning", "reasoning_content", "thinking"});
    if (has_results) std::swap(text, rest);
    out.push_back(std::move(text));
    out.push_back(std::move(rest));
    return {};
}

// Rewrites schemas of one tool.
class SchemaRepair {
  public:
    explicit SchemaRepair(const Json& root) : root_(root) {}
    Json run(Json schema, size_t depth);

  private:
    static constexpr size_t kMaxDepth = 24;
    static constexpr size_t kMaxSchemas = 4096;

    const Json* resolve(std::string_view reference) const;
    Json inlined(Json schema) const;

    const Json& root_;
    size_t n_schemas_ = 0;
};

// Follows a local JSON pointer ("#/$defs/Name").
const Json* SchemaRepair::resolve(std::string_view reference) const {
    if (reference.substr(0, 2) != "#/") return nullptr;
    reference.remove_prefix(2);
    const Json* at = &root_;
    while (at != nullptr) {
        const size_t slash = reference.find('/');
        const std::string_view step = reference.substr(0, slash);
        if (at->is_array()) {
            size_t position = 0;
            const auto end = std::from_chars(step.data(), step.data() + step.size(), position);
            if (end.ec != std::errc() || position >= at->items.size()) return nullptr;
            at = &at->items[position];
        } else {
            at = at->find(step);
        }
        if (slash == std::string_view::npos) break;
        reference.remove_prefix(slash + 1);
    }
    return at;
}

// Replaces the schema by what it refers to; its own keywords (a description) win.
Json SchemaRepair::inlined(Json schema) const {
    const Json* reference = schema.find("$ref");
    if (reference == nullptr || !reference->is_string()) return schema;
    const Json* target = resolve(reference->text);
    if (target == nullptr || !target->is_object()) return schema;
    Json merged = *target;
    erase_members(schema, {"$ref"});
    for (Json::Member& member : schema.members) merged.set(member.first, std::move(member.second));
    return merged;
}

bool is_null_type(const Json& type) { return type.is_string() && type.text == "null"; }

bool is_null_schema(const Json& schema) {
    const Json* type = schema.find("type");
    return type != nullptr && is_null_type(*type);
}

// Of a list of choices, exactly one of which is not null: that one. Otherwise nullptr.
const Json* single_choice(const Json& choices, bool (*is_null)(const Json&)) {
    const Json* found = nullptr;
    size_t n_null = 0;
    for (const Json& choice : choices.items) {
        if (is_null(choice)) {
            ++n_null;
        } else {
            if (found != nullptr) return nullptr;
            found = &choice;
        }
    }
    return n_null == 0 ? nullptr : found;
}

void simplify_type(Json& schema) {
    const Json* type = schema.find("type");
    if (type == nullptr || !type->is_array()) return;
    if (const Json* single = single_choice(*type, is_null_type); single != nullptr) {
        Json copy = *single;
        schema.set("type", std::move(copy));
        schema.set("nullable", Json::of_bool(true));
    } else if (type->items.size() == 1) {
        Json copy = type->items[0];
        schema.set("type", std::move(copy));
    }
}

void simplify_choice(Json& schema, std::string_view keyword) {
    const Json* choices = schema.find(keyword);
    if (choices == nullptr || !choices->is_array()) return;
    const Json* single = single_choice(*choices, is_null_schema);
    if (single == nullptr || !single->is_object()) return;
    Json merged = *single;
    erase_members(schema, {keyword});
    for (Json::Member& member : schema.members) merged.set(member.first, std::move(member.second));
    merged.set("nullable", Json::of_bool(true));
    schema = std::move(merged);
}

Json SchemaRepair::run(Json schema, size_t depth) {
    if (!schema.is_object() || depth > kMaxDepth || ++n_schemas_ > kMaxSchemas) return schema;
    schema = inlined(std::move(schema));
    simplify_choice(schema, "anyOf");
    simplify_choice(schema, "oneOf");
    schema = inlined(std::move(schema));  // the choice may have been a reference
    simplify_type(schema);
    if (Json* properties = find_member(schema, "properties"); properties != nullptr) {
        for (Json::Member& member : properties->members) {
            member.second = run(std::move(member.second), depth + 1);
        }
    }
    if (Json* items = find_member(schema, "items"); items != nullptr) {
        *items = run(std::move(*items), depth + 1);
    }
    return schema;
}

}  // namespace

Result<Json> repair_messages(const Json& messages) {
    if (!messages.is_array()) {
        return Status(StatusCode::bad_argument, "must be a list", "messages");
    }
    Json out = Json::array();
    for (size_t i = 0; i < messages.items.size(); ++i) {
        const Json& message = messages.items[i];
        const Json* role = message.find("role");
        if (role != nullptr && role->is_string() && role->text == "assistant") {
            GEMLET_TRY(repair_assistant(message, i, out.items));
        } else {
            out.items.push_back(message);
        }
    }
    return out;
}

Json repair_tools(const Json& tools) {
    Json out = tools;
    for (Json& tool : out.items) {
        Json* function = find_member(tool, "function");
        Json* parameters = function == nullptr ? nullptr : find_member(*function, "parameters");
        if (parameters == nullptr || !parameters->is_object() || !is_truthy(parameters)) continue;
        const Json root = *parameters;
        *parameters = SchemaRepair(root).run(root, 0);
        if (!is_truthy(parameters->find("type"))) parameters->set("type", Json::of("object"));
    }
    return out;
}

}  // namespace gemlet::chat
