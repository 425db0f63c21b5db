// What the model writes, as it arrives, to thoughts, text and tool calls. However the text is cut
// into chunks, the concatenated output is the same; nothing is released that might be taken back.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "frontends/text/chat/call_arguments.h"
#include "frontends/text/chat/tag_reader.h"

namespace gemlet::chat {

/// Where the model begins: `reasoning` when the prompt has already opened the thought.
enum class ParseStart : uint8_t { content, reasoning };

/// Why the model stopped: an end token, or the limit on its length.
enum class StopCause : uint8_t { stop, length };

/// What one piece of input releases. Reasoning comes before content, content before calls.
struct ResponseDelta {
    std::string reasoning;
    std::string content;
    std::vector<ToolCall> tool_calls;

    bool empty() const { return reasoning.empty() && content.empty() && tool_calls.empty(); }
};

/// The whole response. An absent reasoning is an empty one.
struct ParsedResponse {
    std::string reasoning;
    std::string content;
    std::vector<ToolCall> tool_calls;
    std::string_view finish_reason = "stop";  // `stop`, `length` or `tool_calls`
};

/// A streaming parser for one response. Feed either text, in which tags are recognised by their
/// spelling, or tokens, of which only the special ids are tags; not both. Then finish() once.
/// Threads: none. Never fails: what is no call becomes content.
class ResponseParser {
  public:
    explicit ResponseParser(ParseStart start = ParseStart::content);

    /// Takes the next piece of text, cut anywhere.
    ResponseDelta feed(std::string_view text);
    /// Takes one token id and the text it decodes to (ignored for tags; may be cut in characters).
    ResponseDelta feed_token(int32_t id, std::string_view text);
    /// Ends the stream and releases what was held back.
    ResponseDelta finish(StopCause cause);
    /// Everything so far; complete after finish().
    const ParsedResponse& response() const { return response_; }
    /// True once the model has ended its turn in text: whatever follows is ignored.
    bool done() const { return state_ == State::done; }

  private:
    enum class State : uint8_t { begin, echo, content, label, reasoning, tool, after_call, done };

    // A tag inside a call's collected text.
    struct Mark {
        size_t offset;
        Tag tag;
    };

    void on_text(std::string_view text);
    void on_tag(Tag tag);
    void on_echo(std::string_view text);
    void on_content(std::string_view text);
    void on_label(std::string_view text);
    void on_reasoning(std::string_view text);
    void on_tool(std::string_view text);
    void on_after_call(std::string_view text);
    void on_content_tag(Tag tag);
    void on_label_tag(Tag tag);
    void on_reasoning_tag(Tag tag);
    void on_tool_tag(Tag tag);

    TagSet watched() const;
    void drain(TagReader& reader, std::string_view text);
    void begin_reasoning();
    void leave_label();
    void begin_call();
    void end_call(Tag closer);
    void finish_call(StopCause cause);
    void replay(const std::string& text, const std::vector<Mark>& marks, size_t from);
    ResponseDelta release();

    State state_;
    TagReader reader_;
    ResponseDelta delta_;
    ParsedResponse response_;

    std::string held_;         // white space that may prove to be the end
    std::string dropped_;      // white space before a thought or call, back if content follows
    bool skip_space_ = false;  // at the start of content or reasoning
    bool new_thought_ = true;  // nothing of this thought is written yet
    std::string word_;         // label, or echoed header: what may still be dropped

    std::string call_;  // text of the call being collected, without its opening tag
    std::vector<Mark> marks_;
    bool in_object_ = false;  // past the first brace, where "strings" are protected
    bool in_quote_ = false;
    bool in_json_ = false;
    bool after_escape_ = false;
    char previous_ = 0;  // the last character outside strings that was no white space
};

}  // namespace gemlet::chat
