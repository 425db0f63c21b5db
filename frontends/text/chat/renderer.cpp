// The main loop follows the published template message by message. Three facts travel along: what
// was written last (decides the end of the prompt), the role of the last message that was not a
// tool result (consecutive model messages form one turn) and the index of the last user message
// (thoughts before it are forgotten).
#include "frontends/text/chat/renderer.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "frontends/text/chat/declarations.h"
#include "frontends/text/chat/python_text.h"
#include "frontends/text/chat/specials.h"
#include "frontends/text/chat/values.h"

namespace gemlet::chat {
namespace {

// Beyond this, values are refused: recursion over them stays far from the end of the stack.
constexpr size_t kMaxDepth = 256;

enum class LastWritten : uint8_t { turn, calls, results };

bool is_text(const Json* value, std::string_view text) {
    return value != nullptr && value->is_string() && value->text == text;
}

// What a message has under any of the accepted spellings of a medium; empty for no medium.
std::string_view placeholder_of(const Json* type) {
    if (is_text(type, "image") || is_text(type, "image_url")) return kImage;
    if (is_text(type, "audio") || is_text(type, "input_audio")) return kAudio;
    if (is_text(type, "video")) return kVideo;
    return {};
}

Status refuse(const char* text, size_t index) {
    return {StatusCode::bad_argument, text, "messages", static_cast<int64_t>(index)};
}

class Renderer {
  public:
    Renderer(TemplateKind kind, const Json& messages, const Json& tools,
             const RenderOptions& options)
        : kind_(kind), messages_(messages.items), tools_(tools), options_(options) {}

    Result<Prompt> run();

  private:
    Status write_system_turn();
    Status write_system_text(const Json& content);
    Status write_message(size_t index);
    Status write_thought(const Json& message, size_t index, bool& any);
    Status write_calls(const Json& calls, size_t index);
    Status write_results(const Json& message, size_t index, bool& any);
    Status write_tool_message(const Json& message, const Json& calls, size_t index);
    Status write_parts_result(std::string_view name, const Json& parts, size_t index);
    void write_result(std::string_view name, const Json* response);
    Status write_content(const Json& message, size_t index, bool& any);
    Status write_part(const Json& part, size_t index, bool& any);
    Status write_text(const Json* text, size_t index, bool& any);
    void write_generation_prompt();
    void write_empty_thought();
    const Json* next_role(size_t index) const;
    bool continues(size_t index) const {
        return options_.continue_final_message && index + 1 == messages_.size();
    }

    TemplateKind kind_;
    const std::vector<Json>& messages_;
    const Json& tools_;
    RenderOptions options_;
    PromptWriter out_;
    size_t first_ = 0;       // of the messages after the system turn
    size_t after_user_ = 0;  // from here on thoughts are kept
    LastWritten last_ = LastWritten::turn;
    const Json* previous_role_ = nullptr;
    bool is_model_ = false;  // of the message being written
    bool keep_end_ = false;  // its text is to be continued
};

Status Renderer::write_system_text(const Json& content) {
    if (content.is_string()) {
        out_.plain(python_strip(content.text));
    } else if (content.is_array()) {
        for (const Json& part : content.items) {
            const Json* text = part.find("text");
            if (text != nullptr) out_.plain(python_strip(python_str(*text)));
            out_.plain(" ");
        }
    } else if (content.is_object()) {
        out_.plain(std::string(content.members.size(), ' '));  // a loop over its names
    }
    return {};
}

Status Renderer::write_system_turn() {
    const Json* role = messages_.empty() ? nullptr : messages_[0].find("role");
    const bool has_system = is_text(role, "system") || is_text(role, "developer");
    if (!options_.enable_thinking && !is_truthy(&tools_) && !has_system) return {};
    out_.special(kTurnOpen).plain("system\n");
    if (options_.enable_thinking) out_.special(kThink).plain("\n");
    if (has_system) {
        if (const Json* content = messages_[0].find("content"); content != nullptr) {
            GEMLET_TRY(write_system_text(*content));
        }
        first_ = 1;
    }
    if (is_truthy(&tools_)) {
        if (!tools_.is_array()) return {StatusCode::bad_argument, "must be a list", "tools"};
        for (const Json& tool : tools_.items) {
            out_.special(kToolOpen);
            GEMLET_TRY(write_declaration(out_, tool));
            out_.special(kToolClose);
        }
    }
    out_.special(kTurnClose).plain("\n");
    return {};
}

Status Renderer::write_thought(const Json& message, size_t index, bool& any) {
    const Json* thought = message.find("reasoning");
    if (!is_truthy(thought)) thought = message.find("reasoning_content");
    const bool kept = index >= after_user_ ||
                      (options_.preserve_thinking && is_truthy(message.find("tool_calls")));
    if (!kept || !is_truthy(thought)) return {};
    if (!thought->is_string()) return refuse("the reasoning of a message must be text", index);
    out_.special(kChannelOpen).plain("thought\n").plain(thought->text).plain("\n");
    out_.special(kChannelClose);
    any = true;
    return {};
}

Status Renderer::write_calls(const Json& calls, size_t index) {
    if (!calls.is_array()) return refuse("tool_calls must be a list", index);
    for (const Json& call : calls.items) {
        const Json* function = call.find("function");
        const Json* name = function == nullptr ? nullptr : function->find("name");
        if (name == nullptr || !name->is_string()) {
            return refuse("a tool call needs a function with a name", index);
        }
        const Json* arguments = function->find("arguments");
        if (arguments == nullptr || !(arguments->is_object() || arguments->is_null())) {
            return refuse("the arguments of a tool call must be an object", index);
        }
        out_.special(kToolCallOpen).plain("call:").plain(name->text).plain("{");
        write_members(out_, *arguments);
        out_.plain("}").special(kToolCallClose);
    }
    last_ = LastWritten::calls;
    return {};
}

void Renderer::write_result(std::string_view name, const Json* response) {
    out_.special(kToolResponseOpen).plain("response:").plain(name).plain("{");
    if (response != nullptr && response->is_object()) {
        write_members(out_, *response);
    } else {
        out_.plain("value:");
        write_value(out_, response, KeyStyle::bare);
    }
    out_.plain("}").special(kToolResponseClose);
}

Status Renderer::write_parts_result(std::string_view name, const Json& parts, size_t index) {
    std::string text;
    for (const Json& part : parts.items) {
        if (!part.is_object()) return refuse("a part of a tool result must be an object", index);
        if (!is_text(part.find("type"), "text")) continue;
        const Json* piece = part.find("text");
        if (piece == nullptr || !piece->is_string()) {
            return refuse("a text part of a tool result needs text", index);
        }
        text += piece->text;
    }
    const Json value = Json::of(text);
    write_result(name, &value);
    for (const Json& part : parts.items) {
        const std::string_view medium = placeholder_of(part.find("type"));
        if (!medium.empty()) out_.special(medium);
    }
    return {};
}

// Writes one `tool` message under the name of the call with the same id (the last such), else its
// own, else "unknown".
Status Renderer::write_tool_message(const Json& message, const Json& calls, size_t index) {
    const Json unknown = Json::of("unknown");
    const Json* name = message.find("name");
    if (!is_truthy(name)) name = &unknown;
    const Json* id = message.find("tool_call_id");
    for (const Json& call : calls.items) {
        if (python_equal(call.find("id"), id)) name = call.find("function")->find("name");
    }
    if (!name->is_string()) return refuse("the name of a tool result must be text", index);
    const Json null;
    const Json* content = message.find("content");
    if (content == nullptr) content = &null;
    if (content->is_array()) return write_parts_result(name->text, *content, index);
    if (content->is_object()) {
        if (is_truthy(content)) return refuse("the content of a tool result is an object", index);
        return write_parts_result(name->text, Json::array(), index);
    }
    write_result(name->text, content);
    return {};
}

Status Renderer::write_results(const Json& message, size_t index, bool& any) {
    const Json* calls = message.find("tool_calls");
    if (const Json* responses = message.find("tool_responses"); is_truthy(responses)) {
        if (!responses->is_array()) return refuse("tool_responses must be a list", index);
        for (const Json& response : responses->items) {
            const Json* name = response.find("name");
            if (is_truthy(name) && !name->is_string()) {
                return refuse("the name of a tool result must be text", index);
            }
            write_result(is_truthy(name) ? name->text : "unknown", response.find("response"));
        }
        any = true;
    } else if (is_truthy(calls)) {
        for (size_t k = index + 1; k < messages_.size(); ++k) {
            if (!is_text(messages_[k].find("role"), "tool")) break;
            GEMLET_TRY(write_tool_message(messages_[k], *calls, k));
            any = true;
        }
    }
    if (any) last_ = LastWritten::results;
    return {};
}

Status Renderer::write_text(const Json* text, size_t index, bool& any) {
    if (is_model_ && (text == nullptr || !text->is_string())) {
        return refuse("a text part needs text", index);
    }
    if (text == nullptr) return {};
    const std::string whole = is_model_ ? without_thoughts(text->text) : python_str(*text);
    const std::string_view shown = keep_end_ ? python_lstrip(whole) : python_strip(whole);
    out_.plain(shown);
    any = any || !shown.empty();
    return {};
}

Status Renderer::write_part(const Json& part, size_t index, bool& any) {
    if (!part.is_object()) return refuse("a part of the content must be an object", index);
    const Json* type = part.find("type");
    if (is_text(type, "text")) return write_text(part.find("text"), index, any);
    if (const std::string_view medium = placeholder_of(type); !medium.empty()) {
        out_.special(medium);
        any = true;
    }
    return {};
}

Status Renderer::write_content(const Json& message, size_t index, bool& any) {
    const Json* content = message.find("content");
    if (content == nullptr) return {};
    if (content->is_string()) {
        keep_end_ = continues(index);
        return write_text(content, index, any);
    }
    if (content->is_object() && is_truthy(content)) {
        return refuse("content must be text or a list of parts", index);
    }
    for (size_t i = 0; i < content->items.size(); ++i) {
        keep_end_ = continues(index) && i + 1 == content->items.size();
        GEMLET_TRY(write_part(content->items[i], index, any));
    }
    return {};
}

// The role of the next message that is not a tool result; nullptr at the end.
const Json* Renderer::next_role(size_t index) const {
    for (size_t j = index + 1; j < messages_.size(); ++j) {
        const Json* role = messages_[j].find("role");
        if (!is_text(role, "tool")) return role;
    }
    return nullptr;
}

Status Renderer::write_message(size_t index) {
    const Json& message = messages_[index];
    const Json* role = message.find("role");
    if (is_text(role, "tool")) return {};
    if (role == nullptr || !role->is_string()) return refuse("a message needs a role", index);
    is_model_ = role->text == "assistant" || role->text == "model";
    keep_end_ = false;
    last_ = LastWritten::turn;
    const bool same_turn = is_model_ && is_text(previous_role_, "assistant");
    previous_role_ = role;
    if (!same_turn) out_.special(kTurnOpen).plain(is_model_ ? "model" : role->text).plain("\n");
    bool has_thought = false;
    GEMLET_TRY(write_thought(message, index, has_thought));
    if (continues(index) && !same_turn && !has_thought) write_empty_thought();
    const Json* calls = message.find("tool_calls");
    const bool has_calls = is_truthy(calls);
    if (has_calls) GEMLET_TRY(write_calls(*calls, index));
    bool has_results = false;
    GEMLET_TRY(write_results(message, index, has_results));
    bool has_content = false;
    GEMLET_TRY(write_content(message, index, has_content));
    if (continues(index)) return {};

    const Json* next = next_role(index);
    if (has_calls && !has_results) {
        out_.special(kToolResponseOpen);
    } else if (is_model_ && is_text(next, "assistant")) {
        return {};
    } else if (!has_results || has_content || next != nullptr) {
        out_.special(kTurnClose).plain("\n");
    }
    return {};
}

void Renderer::write_empty_thought() {
    if (kind_ != TemplateKind::b31 || options_.enable_thinking) return;
    out_.special(kChannelOpen).plain("thought\n").special(kChannelClose);
}

void Renderer::write_generation_prompt() {
    if (last_ == LastWritten::turn) {
        out_.special(kTurnOpen).plain("model\n");
        write_empty_thought();
    } else if (last_ == LastWritten::results && options_.enable_thinking) {
        out_.special(kChannelOpen).plain("thought\n");
    }
}

// The last message can be continued when it is the model's and ends in text.
Status check_continuation(const std::vector<Json>& messages) {
    const Json* last = messages.empty() ? nullptr : &messages.back();
    if (last == nullptr || !is_text(last->find("role"), "assistant") ||
        is_truthy(last->find("tool_calls")) || is_truthy(last->find("tool_responses"))) {
        return {StatusCode::bad_argument,
                "only an assistant message without tool calls can be continued"};
    }
    return {};
}

Result<Prompt> Renderer::run() {
    if (options_.continue_final_message) GEMLET_TRY(check_continuation(messages_));
    out_.special(kBos);
    GEMLET_TRY(write_system_turn());
    after_user_ = first_;
    for (size_t i = first_; i < messages_.size(); ++i) {
        if (is_text(messages_[i].find("role"), "user")) after_user_ = i + 1;
    }
    for (size_t i = first_; i < messages_.size(); ++i) GEMLET_TRY(write_message(i));
    if (options_.add_generation_prompt && !options_.continue_final_message) {
        write_generation_prompt();
    }
    return std::move(out_).take();
}

}  // namespace

std::string without_thoughts(std::string_view text) {
    std::string out;
    while (true) {
        const size_t close = text.find(kChannelClose);
        const std::string_view piece = text.substr(0, close);
        out += piece.substr(0, piece.find(kChannelOpen));
        if (close == std::string_view::npos) return out;
        text.remove_prefix(close + kChannelClose.size());
    }
}

RenderOptions render_options_from(const Json& flags) {
    RenderOptions options;
    options.add_generation_prompt = is_truthy(flags.find("add_generation_prompt"));
    options.enable_thinking = is_truthy(flags.find("enable_thinking"));
    options.preserve_thinking = is_truthy(flags.find("preserve_thinking"));
    options.continue_final_message = is_truthy(flags.find("continue_final_message"));
    return options;
}

Result<Prompt> render_prompt(TemplateKind kind, const Json& messages, const Json& tools,
                             const RenderOptions& options) {
    if (!messages.is_array()) {
        return Status(StatusCode::bad_argument, "must be a list", "messages");
    }
    if (!depth_within(messages, kMaxDepth) || !depth_within(tools, kMaxDepth)) {
        return Status(StatusCode::bad_argument, "messages or tools are nested too deeply");
    }
    return Renderer(kind, messages, tools, options).run();
}

}  // namespace gemlet::chat
