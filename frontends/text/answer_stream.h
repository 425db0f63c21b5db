// Token ids, as the model draws them, to thoughts, text and calls.
#pragma once

#include <cstdint>
#include <string>

#include "frontends/text/chat/parser.h"
#include "frontends/text/tokenizer/detokenizer.h"
#include "frontends/text/tokenizer/vocabulary.h"

namespace gemlet {

/// One answer. One thread; the vocabulary must outlive it.
class AnswerStream {
  public:
    /// `raw`: do not parse, all text is content, specials included.
    AnswerStream(const Vocabulary& vocabulary, chat::ParseStart start, bool raw);

    /// Takes one token, which is no stop token; returns what it releases, possibly nothing.
    chat::ResponseDelta take(int32_t id);
    /// The model began another turn: nothing that follows belongs to the answer.
    bool done() const { return !raw_ && parser_.done(); }
    /// Ends the answer and releases what was held back.
    chat::ResponseDelta finish(chat::StopCause cause);
    /// Everything so far; complete after finish().
    const chat::ParsedResponse& response() const { return raw_ ? text_ : parser_.response(); }

  private:
    chat::ResponseDelta take_raw(std::string_view text);

    const Vocabulary* vocabulary_;
    bool raw_;
    StreamDetokenizer detokenizer_;
    chat::ResponseParser parser_;
    chat::ParsedResponse text_;  // raw
};

}  // namespace gemlet
