// Byte-pair encoding of text without specials: characters, then merges by rank. Private to this
// folder and its tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "frontends/text/tokenizer/merge_table.h"
#include "frontends/text/tokenizer/vocabulary.h"

namespace gemlet {

/// Merges ids in place until no listed pair is left: always the pair of lowest rank, among equals
/// the leftmost. Both functions do the same. Returns how many ids remain.
/// `by_scan` is for short runs (n squared, at most kMaxScan ids); `by_heap` takes any length
/// below 2^31 in n log n.
inline constexpr size_t kMaxScan = 40;
size_t merge_by_scan(const MergeTable& merges, int32_t* ids, size_t n);
class HeapMerger {
  public:
    size_t merge(const MergeTable& merges, int32_t* ids, size_t n);

  private:
    struct Node {
        int32_t id = 0;
        uint32_t rank = 0;  // of this node and the next one; kNoRank where they do not merge
        uint32_t previous = 0;
        uint32_t next = 0;
    };
    void update(const MergeTable& merges, uint32_t at);

    std::vector<Node> nodes_;
    std::vector<uint64_t> heap_;  // rank in the upper 32 bits, node below: smallest first
};

/// One call's working memory and output.
class BytePairEncoder {
  public:
    BytePairEncoder(const Vocabulary& vocabulary, std::vector<int32_t>& out)
        : vocabulary_(vocabulary), out_(out) {}

    /// Appends the ids of `text`; its broken bytes count as U+FFFD each.
    void encode(std::string_view text);

  private:
    void finish_run();
    void append_bytes(std::string_view character);

    const Vocabulary& vocabulary_;
    std::vector<int32_t>& out_;
    std::vector<int32_t> run_;  // ids of characters that merges may reach across
    HeapMerger heap_merger_;
};

}  // namespace gemlet
