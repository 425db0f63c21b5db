// Results belong to calls in order: the k-th `tool` message after an assistant message answers its
// k-th call.
#include "frontends/cli/message_log.h"

#include <cstdio>

#include "frontends/cli/streams.h"
#include "frontends/text/chat/repair.h"
#include "frontends/text/response_json.h"
#include "frontends/text/tokenizer/detokenizer.h"

namespace gemlet {
namespace {

// What was typed need not be UTF-8; what is saved must be.
Json message_of(const char* role, const std::string& content) {
    Json message = Json::object();
    message.set("role", Json::of(role)).set("content", Json::of(replace_broken_utf8(content)));
    return message;
}

bool has_role(const Json& message, std::string_view role) {
    const Json* value = message.find("role");
    return value != nullptr && value->is_string() && value->text == role;
}

std::string member_text(const Json& object, const char* key) {
    const Json* value = object.find(key);
    return value != nullptr && value->is_string() ? value->text : std::string();
}

std::string function_name(const Json& call) {
    const Json* function = call.find("function");
    return function != nullptr ? member_text(*function, "name") : std::string();
}

}  // namespace

MessageLog::MessageLog(std::string system) : system_(std::move(system)) { clear(); }

void MessageLog::clear() {
    messages_ = Json::array();
    if (!system_.empty()) messages_.items.push_back(message_of("system", system_));
}

void MessageLog::add_user(const std::string& text, const Json& parts) {
    Json message = message_of("user", text);
    if (parts.is_array()) {
        Json content = parts;
        Json last = Json::object();
        last.set("type", Json::of("text")).set("text", *message.find("content"));
        content.items.push_back(std::move(last));
        message.set("content", std::move(content));
    }
    messages_.items.push_back(std::move(message));
}

void MessageLog::add_answer(const chat::ParsedResponse& response) {
    Json message = message_of("assistant", response.content);
    if (!response.reasoning.empty()) {
        message.set("reasoning_content", Json::of(response.reasoning));
    }
    if (!response.tool_calls.empty()) {
        Json calls = tool_calls_json(response.tool_calls);
        for (Json& call : calls.items) {
            call.set("id", Json::of("call_" + std::to_string(++n_calls_)));
        }
        message.set("tool_calls", std::move(calls));
    }
    messages_.items.push_back(std::move(message));
}

void MessageLog::drop_last() {
    if (!messages_.items.empty()) messages_.items.pop_back();
}

const Json* MessageLog::open_call() const {
    size_t n_results = 0;
    for (size_t i = messages_.items.size(); i > 0; --i) {
        const Json& message = messages_.items[i - 1];
        if (has_role(message, "tool")) {
            ++n_results;
            continue;
        }
        const Json* calls = message.find("tool_calls");
        const bool is_open = has_role(message, "assistant") && calls != nullptr &&
                             calls->is_array() && n_results < calls->items.size();
        return is_open ? &calls->items[n_results] : nullptr;
    }
    return nullptr;
}

std::optional<std::string> MessageLog::pending_call() const {
    const Json* call = open_call();
    return call != nullptr ? std::optional(function_name(*call)) : std::nullopt;
}

void MessageLog::add_result(const std::string& text) {
    const Json* call = open_call();
    Json message = message_of("tool", text);
    if (call != nullptr) {
        message.set("name", Json::of(function_name(*call)));
        const std::string id = member_text(*call, "id");
        if (!id.empty()) message.set("tool_call_id", Json::of(id));
    }
    messages_.items.push_back(std::move(message));
}

Status MessageLog::save(const std::string& path) const {
    std::FILE* file = std::fopen(path.c_str(), "wb");
    if (file == nullptr) return {StatusCode::io, "cannot write", path};
    std::string text = "[";
    for (const Json& message : messages_.items) {
        text += text.size() > 1 ? ",\n " : "\n ";
        text += write_json(message);
    }
    text += "\n]\n";
    const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
    const bool closed = std::fclose(file) == 0;
    if (written && closed) return {};
    return {StatusCode::io, "cannot write (disk full?)", path};
}

Status MessageLog::load(const std::string& path) {
    const Result<std::string> text = read_file(path);
    GEMLET_TRY(text);
    Result<Json> parsed = parse_json(*text, DuplicateKeys::last_wins);
    if (!parsed) {
        return {StatusCode::bad_argument, "not JSON from this byte on", path,
                parsed.error().number()};
    }
    const Json* list = parsed->is_array() ? &*parsed : parsed->find("messages");
    if (list == nullptr || !list->is_array()) {
        return {StatusCode::bad_argument, "not a list of messages", path};
    }
    for (size_t i = 0; i < list->items.size(); ++i) {
        const Json* role = list->items[i].find("role");
        if (role == nullptr || !role->is_string()) {
            return {StatusCode::bad_argument, "message without a role (number)", path,
                    static_cast<int64_t>(i)};
        }
    }
    GEMLET_TRY(chat::repair_messages(*list));
    Json loaded = *list;
    messages_ = std::move(loaded);
    return {};
}

}  // namespace gemlet
