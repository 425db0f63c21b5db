// Text becomes runs of character ids, and each run is merged by itself. A run ends where the merge
// list joins nothing: at characters that are bytes, and between two characters whose edges (last
// byte, first byte) no merge of the list brings together. That is exact for any merge list, and
// for Gemma's it cuts before nearly every blank, as no piece holds U+2581 behind other text.
//
// Runs are mostly words, where scanning a few ranks for the smallest beats any heap; long ones
// (Chinese, long words, tables) use a linked list and a heap. Entries that a merge has overtaken
// stay in the heap and are known by their rank: a node's rank changes whenever its pair does, and
// the rank names the pair.
#include "frontends/text/tokenizer/byte_pair.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>

#include "frontends/text/tokenizer/utf8.h"

namespace gemlet {
namespace {

constexpr uint32_t kNone = UINT32_MAX;
constexpr uint32_t kNoRank = MergeTable::kNoRank;
constexpr size_t kMaxRun = size_t{1} << 30U;  // 16 GB of nodes; longer runs are cut, not refused

struct Character {
    int32_t id = kNoToken;
    uint8_t length = 1;
    EdgeClass first = 0;
    EdgeClass last = 0;
    std::string_view bytes;
};

Character next_character(const Vocabulary& vocabulary, std::string_view text) {
    Character made;
    const Utf8Step step = next_utf8(text);
    if (step.state == Utf8State::valid) {
        made = {.id = vocabulary.character_id(step.code_point),
                .length = step.length,
                .bytes = text.substr(0, step.length)};
        // A blank that became U+2581 has that one's edges.
        if (step.code_point == ' ' && made.id == vocabulary.character_id(kBlankMarkCodePoint) &&
            made.id != kNoToken) {
            made.first = made.last = kBlankEdge;
            return made;
        }
    } else {
        made = {.id = vocabulary.character_id(kReplacementCodePoint),
                .length = 1,
                .bytes = kReplacement};
    }
    made.first = first_edge(made.bytes);
    made.last = last_edge(made.bytes);
    return made;
}

}  // namespace

size_t merge_by_scan(const MergeTable& merges, int32_t* ids, size_t n) {
    std::array<uint32_t, kMaxScan> ranks;  // of id i and i + 1
    for (size_t i = 0; i + 1 < n; ++i) {
        ranks[i] = merges.rank(ids[i], ids[i + 1]);
    }
    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; ++i) {
            best = ranks[i] < ranks[best] ? i : best;
        }
        if (ranks[best] == kNoRank) {
            break;
        }
        ids[best] = merges.product(ranks[best]);
        for (size_t i = best + 1; i + 1 < n; ++i) {
            ids[i] = ids[i + 1];
            ranks[i - 1] = ranks[i];
        }
        --n;
        if (best > 0) {
            ranks[best - 1] = merges.rank(ids[best - 1], ids[best]);
        }
        if (best + 1 < n) {
            ranks[best] = merges.rank(ids[best], ids[best + 1]);
        }
    }
    return n;
}

void HeapMerger::update(const MergeTable& merges, uint32_t at) {
    Node& node = nodes_[at];
    node.rank = node.next == kNone ? kNoRank : merges.rank(node.id, nodes_[node.next].id);
    if (node.rank != kNoRank) {
        heap_.push_back((uint64_t{node.rank} << 32U) | at);
        std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
    }
}

size_t HeapMerger::merge(const MergeTable& merges, int32_t* ids, size_t n) {
    nodes_.resize(n);
    heap_.clear();
    for (size_t i = 0; i < n; ++i) {
        const bool last = i + 1 == n;
        const uint32_t rank = last ? kNoRank : merges.rank(ids[i], ids[i + 1]);
        nodes_[i] = {.id = ids[i],
                     .rank = rank,
                     .previous = i == 0 ? kNone : static_cast<uint32_t>(i - 1),
                     .next = last ? kNone : static_cast<uint32_t>(i + 1)};
        if (rank != kNoRank) {
            heap_.push_back((uint64_t{rank} << 32U) | i);
        }
    }
    std::make_heap(heap_.begin(), heap_.end(), std::greater<>());
    while (!heap_.empty()) {
        const uint64_t top = heap_.front();
        std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
        heap_.pop_back();
        const auto at = static_cast<uint32_t>(top);
        Node& left = nodes_[at];
        if (left.rank != top >> 32U) {
            continue;  // overtaken; a node merged away has no rank
        }
        Node& right = nodes_[left.next];
        left.id = merges.product(left.rank);
        left.next = right.next;
        right.rank = kNoRank;
        if (left.next != kNone) {
            nodes_[left.next].previous = at;
        }
        if (left.previous != kNone) {
            update(merges, left.previous);
        }
        update(merges, at);
    }
    size_t n_left = 0;
    for (uint32_t at = n == 0 ? kNone : 0; at != kNone; at = nodes_[at].next) {
        ids[n_left++] = nodes_[at].id;
    }
    return n_left;
}

void BytePairEncoder::finish_run() {
    size_t n = run_.size();
    if (n > kMaxScan) {
        n = heap_merger_.merge(vocabulary_.merges(), run_.data(), n);
    } else if (n > 1) {
        n = merge_by_scan(vocabulary_.merges(), run_.data(), n);
    }
    out_.insert(out_.end(), run_.begin(), run_.begin() + static_cast<ptrdiff_t>(n));
    run_.clear();
}

void BytePairEncoder::append_bytes(std::string_view character) {
    const size_t begin = out_.size();
    for (const char byte : character) {
        const int32_t id = vocabulary_.byte_id(static_cast<uint8_t>(byte));
        if (id == kNoToken) {
            out_.resize(begin);
            out_.push_back(vocabulary_.unknown());
            return;
        }
        out_.push_back(id);
    }
}

void BytePairEncoder::encode(std::string_view text) {
    const MergeTable& merges = vocabulary_.merges();
    EdgeClass last = 0;
    for (size_t at = 0; at < text.size();) {
        const Character next = next_character(vocabulary_, text.substr(at));
        at += next.length;
        if (next.id == kNoToken) {
            finish_run();
            append_bytes(next.bytes);
            continue;
        }
        if (!run_.empty() && (!merges.may_join(last, next.first) || run_.size() == kMaxRun)) {
            finish_run();
        }
        run_.push_back(next.id);
        last = next.last;
    }
    finish_run();
}

}  // namespace gemlet
