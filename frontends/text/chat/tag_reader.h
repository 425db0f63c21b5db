// Finds tags in text that arrives in pieces. Every tag begins with '<' and has no other, so what
// may become a tag is at most one short prefix.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace gemlet::chat {

/// The tags of a response.
enum class Tag : uint8_t {
    channel_open,
    channel_close,
    call_open,
    call_close,
    result_open,
    turn_close,
    eos,
    turn_open,
    quote,
    none,
};

/// Returns the tag's spelling; empty for none.
std::string_view tag_text(Tag tag);

/// Returns the tag that a token id is, or none.
Tag tag_of_id(int32_t id);

/// A set of tags, one bit each.
using TagSet = uint16_t;
constexpr TagSet tag_bit(Tag tag) { return static_cast<TagSet>(1U << static_cast<unsigned>(tag)); }

/// What TagReader found.
struct TagEvent {
    Tag tag = Tag::none;    // a tag, or
    std::string_view text;  // text; valid until the next call
};

class TagReader {
  public:
    /// Takes one event off the front of `input`. Only tags in `watched` count, which may change
    /// between calls. Returns false when all input is consumed; a prefix may then be held.
    bool next(std::string_view& input, TagSet watched, TagEvent& event);
    /// Hands out what is held: it has become text.
    std::string take_held() { return std::move(held_); }
    bool holds() const { return !held_.empty(); }

  private:
    std::string held_;
    std::string released_;
};

}  // namespace gemlet::chat
