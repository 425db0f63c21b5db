// One hash table keyed by (left id, right id): 8 bytes a slot hold the whole 40-bit key and the
// 24-bit rank, so that a look-up touches one cache line. For 514,906 merges: 8 MB and 2 MB of
// products. The alternative, a look-up by the joined text, hashes strings in the inner loop.
#include "frontends/text/tokenizer/merge_table.h"

#include "frontends/text/tokenizer/utf8.h"

namespace gemlet {
namespace {

constexpr size_t kMaxMerges = size_t{1} << 23U;
constexpr size_t kMaxProbes = 1024;  // see piece_map.cpp

}  // namespace

EdgeClass first_edge(std::string_view piece) {
    return piece.starts_with(kBlankMark) ? kBlankEdge : static_cast<EdgeClass>(piece.front());
}

EdgeClass last_edge(std::string_view piece) {
    return piece.ends_with(kBlankMark) ? kBlankEdge : static_cast<EdgeClass>(piece.back());
}

Status MergeTable::reserve(size_t n_merges) {
    if (n_merges > kMaxMerges) {
        return {StatusCode::unsupported, "too many merges", "merges",
                static_cast<int64_t>(n_merges)};
    }
    unsigned bits = 2;
    while ((size_t{1} << bits) < 2 * n_merges) {
        ++bits;
    }
    shift_ = 64 - bits;
    slots_.assign(size_t{1} << bits, kEmpty);
    products_.clear();
    products_.reserve(n_merges);
    return {};
}

Status MergeTable::add(int32_t left, int32_t right, int32_t product) {
    const uint64_t key = key_of(left, right);
    const size_t mask = slots_.size() - 1;
    const auto rank = static_cast<uint32_t>(products_.size());
    size_t at = slot_of(key);
    for (size_t probes = 0; slots_[at] != kEmpty; at = (at + 1) & mask) {
        if ((slots_[at] >> kRankBits) == key) {
            return {StatusCode::corrupt, "merge listed twice", "merges", rank};
        }
        if (++probes > kMaxProbes) {
            return {StatusCode::unsupported, "merges collide", "merges", rank};
        }
    }
    slots_[at] = (key << kRankBits) | rank;
    products_.push_back(product);
    return {};
}

}  // namespace gemlet
