// A state machine over two kinds of events, text and tags. Text input passes a TagReader first;
// token ids are events by themselves, so that text which merely looks like a tag stays text.
//
// White space decides most of the cases: it is dropped at the end of a thought and before a call,
// but kept at the end of content and between pieces of content. So it is held (`held_`) until
// something follows, and set aside (`dropped_`) where only more content can bring it back.
#include "frontends/text/chat/parser.h"

#include <algorithm>

#include "frontends/text/chat/specials.h"

namespace gemlet::chat {
namespace {

constexpr std::string_view kSpace = " \t\n\r\f\v";
constexpr std::string_view kEchoedHeader = "model\n";
constexpr std::string_view kLabel = "thought";

constexpr TagSet kEnds = tag_bit(Tag::result_open) | tag_bit(Tag::turn_close) | tag_bit(Tag::eos) |
                         tag_bit(Tag::turn_open);
constexpr TagSet kInReasoning =
    kEnds | tag_bit(Tag::channel_open) | tag_bit(Tag::channel_close) | tag_bit(Tag::call_open);
constexpr TagSet kInContent = kInReasoning | tag_bit(Tag::call_close);
constexpr TagSet kInCall = kInContent | tag_bit(Tag::quote);

bool is_end(Tag tag) { return (kEnds & tag_bit(tag)) != 0; }

bool is_space(char c) { return kSpace.find(c) != std::string_view::npos; }

// Could the text still become "thought", blanks, line end? `complete` if it has.
bool is_label_prefix(std::string_view text, bool& complete) {
    complete = false;
    if (text.size() <= kLabel.size()) return kLabel.substr(0, text.size()) == text;
    if (text.substr(0, kLabel.size()) != kLabel) return false;
    const size_t at = std::min(text.find_first_not_of(" \t", kLabel.size()), text.size());
    const std::string_view line_end = text.substr(at);
    complete = line_end == "\n" || line_end == "\r\n";
    return complete || line_end.empty() || line_end == "\r";
}

}  // namespace

ResponseParser::ResponseParser(ParseStart start)
    : state_(start == ParseStart::content ? State::begin : State::reasoning),
      skip_space_(start == ParseStart::reasoning) {}

ResponseDelta ResponseParser::feed(std::string_view text) {
    drain(reader_, text);
    return release();
}

ResponseDelta ResponseParser::feed_token(int32_t id, std::string_view text) {
    const Tag tag = tag_of_id(id);
    if (tag != Tag::none) {
        on_tag(tag);
    } else if (id != kToolResponseCloseId || state_ == State::tool) {
        // The end of a result has no place in a response; elsewhere than in a call it is dropped.
        on_text(text);
    }
    return release();
}

ResponseDelta ResponseParser::finish(StopCause cause) {
    if (reader_.holds()) {
        const std::string rest = reader_.take_held();
        on_text(rest);
    }
    while (state_ == State::tool) finish_call(cause);
    if (state_ == State::label && word_ != kLabel) leave_label();
    if (state_ == State::content) {
        delta_.content += held_;
        held_.clear();
    }
    state_ = State::done;
    ResponseDelta last = release();
    if (cause == StopCause::length) {
        response_.finish_reason = "length";
    } else if (!response_.tool_calls.empty()) {
        response_.finish_reason = "tool_calls";
    }
    return last;
}

ResponseDelta ResponseParser::release() {
    response_.reasoning += delta_.reasoning;
    response_.content += delta_.content;
    response_.tool_calls.insert(response_.tool_calls.end(), delta_.tool_calls.begin(),
                                delta_.tool_calls.end());
    return std::exchange(delta_, {});
}

TagSet ResponseParser::watched() const {
    switch (state_) {
        case State::reasoning:
        case State::label:
            return kInReasoning;
        case State::tool:
            return kInCall;
        default:
            return kInContent;
    }
}

void ResponseParser::drain(TagReader& reader, std::string_view text) {
    TagEvent event;
    while (state_ != State::done && reader.next(text, watched(), event)) {
        if (event.tag == Tag::none) {
            on_text(event.text);
        } else {
            on_tag(event.tag);
        }
    }
}

void ResponseParser::on_text(std::string_view text) {
    if (text.empty()) return;
    switch (state_) {
        case State::begin:
            state_ = State::content;
            on_content(text);
            break;
        case State::echo:
            on_echo(text);
            break;
        case State::content:
            on_content(text);
            break;
        case State::label:
            on_label(text);
            break;
        case State::reasoning:
            on_reasoning(text);
            break;
        case State::tool:
            on_tool(text);
            break;
        case State::after_call:
            on_after_call(text);
            break;
        case State::done:
            break;
    }
}

void ResponseParser::on_tag(Tag tag) {
    switch (state_) {
        case State::begin:
            state_ = tag == Tag::turn_open ? State::echo : State::content;
            if (state_ == State::content) on_content_tag(tag);
            break;
        case State::echo:  // the header broke off: a turn began, and that ends the response
            state_ = State::done;
            break;
        case State::after_call:
            if (tag == Tag::call_close || tag == Tag::result_open) break;
            state_ = State::content;
            on_content_tag(tag);
            break;
        case State::content:
            on_content_tag(tag);
            break;
        case State::label:
            on_label_tag(tag);
            break;
        case State::reasoning:
            on_reasoning_tag(tag);
            break;
        case State::tool:
            on_tool_tag(tag);
            break;
        case State::done:
            break;
    }
}

// After a `<|turn>` at the very start: `model` and a line end are an echo of the prompt.
void ResponseParser::on_echo(std::string_view text) {
    for (size_t i = 0; i < text.size(); ++i) {
        word_ += text[i];
        if (kEchoedHeader.substr(0, word_.size()) != word_) {
            state_ = State::done;
            return;
        }
        if (word_ == kEchoedHeader) {
            word_.clear();
            state_ = State::content;
            on_text(text.substr(i + 1));
            return;
        }
    }
}

void ResponseParser::on_content(std::string_view text) {
    if (skip_space_) {
        text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
        if (text.empty()) return;
        skip_space_ = false;
    }
    const size_t last = text.find_last_not_of(kSpace);
    if (last == std::string_view::npos) {
        held_ += text;
        return;
    }
    delta_.content += dropped_;
    delta_.content += held_;
    delta_.content += text.substr(0, last + 1);
    dropped_.clear();
    held_ = text.substr(last + 1);
}

void ResponseParser::on_content_tag(Tag tag) {
    switch (tag) {
        case Tag::channel_open:
            dropped_ += std::exchange(held_, {});
            state_ = State::label;
            break;
        case Tag::call_open:
            dropped_ += std::exchange(held_, {});
            begin_call();
            break;
        case Tag::channel_close:
        case Tag::call_close:
            break;
        case Tag::quote:
            on_content(tag_text(tag));
            break;
        default:
            delta_.content += std::exchange(held_, {});
            state_ = State::done;
    }
}

void ResponseParser::on_label(std::string_view text) {
    for (size_t i = 0; i < text.size(); ++i) {
        word_ += text[i];
        bool complete = false;
        if (!is_label_prefix(word_, complete)) {
            leave_label();
            on_reasoning(text.substr(i + 1));
            return;
        }
        if (complete) {
            word_.clear();
            begin_reasoning();
            on_reasoning(text.substr(i + 1));
            return;
        }
    }
}

// What was taken for a label is the thought's first text.
void ResponseParser::leave_label() {
    begin_reasoning();
    on_reasoning(std::exchange(word_, {}));
}

void ResponseParser::on_label_tag(Tag tag) {
    if (word_.empty() && tag == Tag::channel_open) return;
    if (word_ == kLabel && (tag == Tag::channel_close || is_end(tag))) word_.clear();
    leave_label();
    on_reasoning_tag(tag);
}

void ResponseParser::begin_reasoning() {
    state_ = State::reasoning;
    skip_space_ = true;
    new_thought_ = true;
}

void ResponseParser::on_reasoning(std::string_view text) {
    if (skip_space_) {
        text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
        if (text.empty()) return;
        skip_space_ = false;
    }
    const size_t last = text.find_last_not_of(kSpace);
    if (last == std::string_view::npos) {
        held_ += text;
        return;
    }
    const bool has_earlier = !response_.reasoning.empty() || !delta_.reasoning.empty();
    if (new_thought_ && has_earlier) delta_.reasoning += '\n';
    new_thought_ = false;
    delta_.reasoning += held_;
    delta_.reasoning += text.substr(0, last + 1);
    held_ = text.substr(last + 1);
}

void ResponseParser::on_reasoning_tag(Tag tag) {
    if (tag == Tag::call_close || tag == Tag::quote) {
        on_reasoning(tag_text(tag));
        return;
    }
    held_.clear();
    skip_space_ = false;
    if (tag == Tag::channel_close) {
        state_ = State::content;
        skip_space_ = true;
    } else if (tag == Tag::call_open) {
        begin_call();
    } else if (tag == Tag::channel_open) {
        state_ = State::label;
    } else {
        state_ = State::done;
    }
}

void ResponseParser::begin_call() {
    state_ = State::tool;
    call_.clear();
    marks_.clear();
    in_object_ = in_quote_ = in_json_ = after_escape_ = false;
    previous_ = 0;
}

// Follows strings only as far as needed to know whether a tag stands inside one: between quote
// tokens, or in double quotes where a key or a value begins.
void ResponseParser::on_tool(std::string_view text) {
    call_ += text;
    if (in_quote_) return;
    for (const char c : text) {
        if (in_json_) {
            if (after_escape_) {
                after_escape_ = false;
            } else if (c == '\\') {
                after_escape_ = true;
            } else if (c == '"') {
                in_json_ = false;
            }
            continue;
        }
        constexpr std::string_view kBeforeStrings = "{[:,";
        if (c == '{') in_object_ = true;
        if (c == '"' && in_object_ && kBeforeStrings.find(previous_) != std::string_view::npos) {
            in_json_ = true;
        }
        if (!is_space(c)) previous_ = c;
    }
}

void ResponseParser::on_tool_tag(Tag tag) {
    const bool in_string = in_quote_ || in_json_;
    if (!in_string && tag != Tag::quote && tag != Tag::channel_close) {
        end_call(tag);
        return;
    }
    marks_.push_back({call_.size(), tag});
    call_ += tag_text(tag);
    after_escape_ = false;
    if (tag == Tag::quote && !in_json_) in_quote_ = !in_quote_;
    if (!in_json_) previous_ = '>';
}

// `closer` is the tag outside strings that ended the call; none at the end of the stream. A tag
// other than the closing one is looked at again in the state that follows.
void ResponseParser::end_call(Tag closer) {
    std::vector<size_t> quotes;
    for (const Mark& mark : marks_) {
        if (mark.tag == Tag::quote) quotes.push_back(mark.offset);
    }
    auto call = parse_call(call_, quotes);
    if (call) {
        state_ = State::after_call;
        skip_space_ = false;
        delta_.tool_calls.push_back(*std::move(call));
    } else {
        state_ = State::content;
        skip_space_ = false;
        on_content(kToolCallOpen);
        on_content(call_);
        if (closer == Tag::call_close) on_content(kToolCallClose);
    }
    if (closer != Tag::call_close && closer != Tag::none) on_tag(closer);
}

void ResponseParser::on_after_call(std::string_view text) {
    text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
    if (text.empty()) return;
    state_ = State::content;
    on_content(text);
}

// The stream ended inside a call. A call cut by the limit is not to be carried out.
void ResponseParser::finish_call(StopCause cause) {
    if (cause == StopCause::length) {
        state_ = State::content;
        skip_space_ = false;
        on_content(kToolCallOpen);
        on_content(call_);
        return;
    }
    const auto close = std::find_if(marks_.begin(), marks_.end(),
                                    [](const Mark& mark) { return mark.tag == Tag::call_close; });
    if (close == marks_.end()) {
        end_call(Tag::none);
        return;
    }
    const std::string text = call_;
    const std::vector<Mark> marks(close + 1, marks_.end());
    const size_t from = close->offset + kToolCallClose.size();
    call_.resize(close->offset);
    marks_.erase(close, marks_.end());
    end_call(Tag::call_close);
    replay(text, marks, from);
}

// Feeds what was collected beyond the end of a call once more.
void ResponseParser::replay(const std::string& text, const std::vector<Mark>& marks, size_t from) {
    const std::string_view whole = text;
    for (const Mark& mark : marks) {
        on_text(whole.substr(from, mark.offset - from));
        on_tag(mark.tag);
        from = mark.offset + tag_text(mark.tag).size();
    }
    on_text(whole.substr(from));
}

}  // namespace gemlet::chat
