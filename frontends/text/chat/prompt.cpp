// Prompt segments; see the header.
#include "frontends/text/chat/prompt.h"

#include "frontends/text/chat/specials.h"

namespace gemlet::chat {

std::string join_prompt(const Prompt& prompt) {
    std::string out;
    for (const PromptSegment& segment : prompt) out += segment.text;
    return out;
}

PromptWriter& PromptWriter::special(std::string_view text) {
    prompt_.push_back({std::string(text), true});
    return *this;
}

PromptWriter& PromptWriter::plain(std::string_view text) {
    if (text.empty()) return *this;
    if (prompt_.empty() || prompt_.back().trusted) prompt_.push_back({std::string(), false});
    prompt_.back().text += text;
    return *this;
}

PromptWriter& PromptWriter::quoted(std::string_view text) {
    return special(kQuote).plain(text).special(kQuote);
}

}  // namespace gemlet::chat
