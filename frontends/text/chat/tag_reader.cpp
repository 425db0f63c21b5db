// Tags in a stream of text; see the header.
#include "frontends/text/chat/tag_reader.h"

#include <array>
#include <utility>

#include "frontends/text/chat/specials.h"

namespace gemlet::chat {
namespace {

constexpr std::array<std::string_view, 9> kTexts = {
    kChannelOpen, kChannelClose, kToolCallOpen, kToolCallClose, kToolResponseOpen,
    kTurnClose,   kEos,          kTurnOpen,     kQuote,
};

enum class Match : uint8_t { no, prefix, whole };

// No tag is a prefix of another, so a whole match is never a prefix of something longer.
Match match_tags(std::string_view text, TagSet watched, Tag& tag) {
    for (size_t i = 0; i < kTexts.size(); ++i) {
        const Tag candidate = static_cast<Tag>(i);
        if ((watched & tag_bit(candidate)) == 0) continue;
        if (kTexts[i].substr(0, text.size()) != text) continue;
        if (kTexts[i].size() != text.size()) return Match::prefix;
        tag = candidate;
        return Match::whole;
    }
    return Match::no;
}

}  // namespace

std::string_view tag_text(Tag tag) {
    return tag == Tag::none ? std::string_view() : kTexts[static_cast<size_t>(tag)];
}

Tag tag_of_id(int32_t id) {
    switch (id) {
        case kEosId:
            return Tag::eos;
        case kToolCallOpenId:
            return Tag::call_open;
        case kToolCallCloseId:
            return Tag::call_close;
        case kToolResponseOpenId:
            return Tag::result_open;
        case kQuoteId:
            return Tag::quote;
        case kChannelOpenId:
            return Tag::channel_open;
        case kChannelCloseId:
            return Tag::channel_close;
        case kTurnOpenId:
            return Tag::turn_open;
        case kTurnCloseId:
            return Tag::turn_close;
        default:
            return Tag::none;
    }
}

bool TagReader::next(std::string_view& input, TagSet watched, TagEvent& event) {
    event = {};
    while (!input.empty()) {
        if (held_.empty()) {
            const size_t n_plain = input.find('<');
            if (n_plain != 0) {
                event.text = input.substr(0, n_plain);
                input.remove_prefix(event.text.size());
                return true;
            }
        }
        held_ += input.front();
        const Match match = match_tags(held_, watched, event.tag);
        if (match == Match::no) {
            held_.pop_back();
            if (held_.empty()) {  // a '<' that begins nothing watched
                event.text = input.substr(0, 1);
                input.remove_prefix(1);
            } else {  // the last character is looked at anew
                released_ = std::exchange(held_, {});
                event.text = released_;
            }
            return true;
        }
        input.remove_prefix(1);
        if (match == Match::whole) {
            held_.clear();
            return true;
        }
    }
    return false;
}

}  // namespace gemlet::chat
