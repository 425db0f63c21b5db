// A tree of bytes with lists of children: two dozen texts need some 250 nodes of 16 bytes, and a
// hostile file with a million specials costs no more than their bytes. As all of Gemma's specials
// begin with '<', memchr does most of the searching.
#include "frontends/text/tokenizer/text_matcher.h"

#include <cstring>

namespace gemlet {

uint32_t TextMatcher::next_node(uint32_t first, char byte) const {
    while (first != 0 && nodes_[first].byte != byte) {
        first = nodes_[first].sibling;
    }
    return first;
}

void TextMatcher::add(std::string_view text, int32_t id) {
    if (nodes_.empty()) {
        nodes_.emplace_back();
    }
    const auto append = [&](char byte, uint32_t sibling) {
        nodes_.push_back({.id = -1, .child = 0, .sibling = sibling, .byte = byte});
        return static_cast<uint32_t>(nodes_.size() - 1);
    };
    const auto lead = static_cast<uint8_t>(text[0]);
    if (first_[lead] == 0) {
        first_[lead] = append(text[0], 0);
        only_first_ = text[0];
        ++n_first_;
    }
    uint32_t at = first_[lead];
    for (const char byte : text.substr(1)) {
        uint32_t child = next_node(nodes_[at].child, byte);
        if (child == 0) {
            child = append(byte, nodes_[at].child);
            nodes_[at].child = child;
        }
        at = child;
    }
    nodes_[at].id = id;
}

TextMatcher::Match TextMatcher::find(std::string_view text, size_t from) const {
    for (size_t begin = from; n_first_ > 0 && begin < text.size(); ++begin) {
        if (n_first_ == 1) {
            const void* hit = std::memchr(text.data() + begin, only_first_, text.size() - begin);
            if (hit == nullptr) {
                break;
            }
            begin = static_cast<size_t>(static_cast<const char*>(hit) - text.data());
        }
        Match best;
        uint32_t at = first_[static_cast<uint8_t>(text[begin])];
        for (size_t end = begin + 1; at != 0; ++end) {
            if (nodes_[at].id >= 0) {
                best = {.begin = begin, .length = end - begin, .id = nodes_[at].id};
            }
            if (end == text.size()) {
                break;
            }
            at = next_node(nodes_[at].child, text[end]);
        }
        if (best.id >= 0) {
            return best;
        }
    }
    return {};
}

}  // namespace gemlet
