// Finds fixed texts (the special pieces) in a text: leftmost, and the longest one there.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace gemlet {

/// A set of texts with ids. Immutable once filled, shared by threads.
class TextMatcher {
  public:
    struct Match {
        size_t begin = 0;
        size_t length = 0;
        int32_t id = -1;  // -1: none
    };

    /// Adds a text that is not empty; a text added twice keeps the later id.
    void add(std::string_view text, int32_t id);
    bool empty() const { return nodes_.empty(); }

    /// Returns the first match that begins at `from` or later.
    Match find(std::string_view text, size_t from) const;

  private:
    // One byte of a text; the first child, and the next byte that may stand in this place.
    struct Node {
        int32_t id = -1;
        uint32_t child = 0;
        uint32_t sibling = 0;
        char byte = 0;
    };
    uint32_t next_node(uint32_t first, char byte) const;

    std::vector<Node> nodes_;            // node 0 is no text's: links of 0 end a list
    std::array<uint32_t, 256> first_{};  // by first byte
    size_t n_first_ = 0;                 // how many of them there are
    char only_first_ = 0;                // the last one added; memchr's where it is the only one
};

}  // namespace gemlet
