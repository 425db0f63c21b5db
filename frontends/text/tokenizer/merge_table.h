// The merge list of a byte-pair vocabulary: which two pieces may join, at what rank, into what;
// and between which characters no merge ever reaches.
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/status.h"

namespace gemlet {

/// Class of a piece's first or last character for border tests: its outermost byte, and one class
/// of its own (a byte UTF-8 never uses) for U+2581, because words begin there.
using EdgeClass = uint8_t;
inline constexpr EdgeClass kBlankEdge = 0xFF;
EdgeClass first_edge(std::string_view piece);
EdgeClass last_edge(std::string_view piece);

/// Pairs of ids below kMaxVocabularySize. Immutable after loading, shared by threads.
class MergeTable {
  public:
    static constexpr uint32_t kNoRank = (1U << 24U) - 1;  // later than every rank

    /// Makes room for `n_merges`. Errors: `unsupported` beyond 2^23.
    Status reserve(size_t n_merges);

    /// Appends the merge of the next rank. At most as many as reserved. Errors: `corrupt` where
    /// the pair is listed already, `unsupported` where the pairs are made to collide; the number
    /// is the rank.
    Status add(int32_t left, int32_t right, int32_t product);
    /// Starts fetching what add and rank will touch.
    void prefetch(int32_t left, int32_t right) const {
        __builtin_prefetch(&slots_[slot_of(key_of(left, right))]);
    }
    /// Allows merges between these edges.
    void join_edges(EdgeClass last, EdgeClass first) { joinable_[last].set(first); }

    size_t size() const { return products_.size(); }
    /// Returns the pair's rank or kNoRank.
    uint32_t rank(int32_t left, int32_t right) const {
        const uint64_t key = key_of(left, right);
        const size_t mask = slots_.size() - 1;
        for (size_t at = slot_of(key);; at = (at + 1) & mask) {
            const uint64_t slot = slots_[at];
            if ((slot >> kRankBits) == key || slot == kEmpty) {
                return static_cast<uint32_t>(slot) & kNoRank;  // kEmpty ends in kNoRank's bits
            }
        }
    }
    int32_t product(uint32_t rank) const { return products_[rank]; }
    /// Returns whether any merge joins a piece ending so with a piece beginning so. Where none
    /// does, text may be cut without changing a single id.
    bool may_join(EdgeClass last, EdgeClass first) const { return joinable_[last][first]; }

  private:
    static constexpr unsigned kRankBits = 24;
    static constexpr uint64_t kEmpty = UINT64_MAX;  // key of the ids 2^20 - 1, which do not exist

    static uint64_t key_of(int32_t left, int32_t right) {
        return (uint64_t{static_cast<uint32_t>(left)} << 20U) | static_cast<uint32_t>(right);
    }
    size_t slot_of(uint64_t key) const { return (key * 0x9E3779B97F4A7C15U) >> shift_; }

    std::vector<uint64_t> slots_ = {kEmpty, kEmpty};  // key above, rank in the low 24 bits
    unsigned shift_ = 63;
    std::vector<int32_t> products_;  // by rank
    std::array<std::bitset<256>, 256> joinable_{};
};

}  // namespace gemlet
