// The parser works on ids, so that text which merely looks like a tag stays text.
#include "frontends/text/answer_stream.h"

#include <iterator>
#include <utility>

#include "frontends/text/chat/specials.h"
#include "frontends/text/chat/tag_reader.h"

namespace gemlet {
namespace {

void append(chat::ResponseDelta& delta, chat::ResponseDelta more) {
    delta.reasoning += more.reasoning;
    delta.content += more.content;
    delta.tool_calls.insert(delta.tool_calls.end(),
                            std::make_move_iterator(more.tool_calls.begin()),
                            std::make_move_iterator(more.tool_calls.end()));
}

}  // namespace

AnswerStream::AnswerStream(const Vocabulary& vocabulary, chat::ParseStart start, bool raw)
    : vocabulary_(&vocabulary), raw_(raw), detokenizer_(vocabulary, false), parser_(start) {}

chat::ResponseDelta AnswerStream::take(int32_t id) {
    if (raw_) return take_raw(detokenizer_.push(id));
    if (!vocabulary_->is_special(id)) return parser_.feed_token(id, detokenizer_.push(id));
    // Half a character before a special stays half.
    chat::ResponseDelta delta = parser_.feed_token(kNoToken, detokenizer_.flush());
    const bool is_markup =
        chat::tag_of_id(id) != chat::Tag::none || vocabulary_->type(id) == PieceType::user_defined;
    if (is_markup) append(delta, parser_.feed_token(id, vocabulary_->bytes(id)));
    return delta;
}

chat::ResponseDelta AnswerStream::finish(chat::StopCause cause) {
    if (raw_) {
        if (cause == chat::StopCause::length) text_.finish_reason = "length";
        return take_raw(detokenizer_.flush());
    }
    chat::ResponseDelta delta = parser_.feed_token(kNoToken, detokenizer_.flush());
    append(delta, parser_.finish(cause));
    return delta;
}

chat::ResponseDelta AnswerStream::take_raw(std::string_view text) {
    text_.content += text;
    return {.reasoning = {}, .content = std::string(text), .tool_calls = {}};
}

}  // namespace gemlet
