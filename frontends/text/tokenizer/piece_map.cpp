// Open addressing with linear probing at a load of at most one half. A slot is the id and 12 bits
// of the hash; those turn away all but one in 4096 wrong candidates before any text is touched.
// For 262,144 pieces that is 2 MB, which a second-level cache holds.
#include "frontends/text/tokenizer/piece_map.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace gemlet {
namespace {

constexpr uint32_t kEmpty = UINT32_MAX;
constexpr unsigned kIdBits = 20;
constexpr uint32_t kIdMask = (1U << kIdBits) - 1;
// Honest vocabularies stay below 60; only texts made to collide get here, and they would turn
// loading quadratic.
constexpr size_t kMaxProbes = 1024;

uint64_t load8(const char* p) {
    uint64_t word = 0;
    std::memcpy(&word, p, sizeof word);
    return word;
}

uint64_t load4(const char* p) {
    uint32_t word = 0;
    std::memcpy(&word, p, sizeof word);
    return word;
}

uint64_t mix(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * 0x9E3779B97F4A7C15U;
    return hash ^ (hash >> 32U);
}

// The last word overlaps the one before instead of being cut, so no byte loop is needed.
uint64_t hash_text(std::string_view text) {
    const char* p = text.data();
    size_t n = text.size();
    uint64_t hash = mix(0x2545F4914F6CDD1DU, n);
    if (n >= 8) {
        for (; n > 8; p += 8, n -= 8) {
            hash = mix(hash, load8(p));
        }
        return mix(hash, load8(p + n - 8)) * 0xD6E8FEB86659FD93U;
    }
    if (n >= 4) {
        return mix(hash, load4(p) | (load4(p + n - 4) << 32U)) * 0xD6E8FEB86659FD93U;
    }
    if (n > 0) {
        const auto byte = [&](size_t i) { return uint64_t{static_cast<uint8_t>(p[i])}; };
        hash = mix(hash, byte(0) | (byte(n / 2) << 8U) | (byte(n - 1) << 16U));
    }
    return hash * 0xD6E8FEB86659FD93U;
}

// Bits below the slot index, so that they add to it.
uint32_t tag_of(uint64_t hash) { return static_cast<uint32_t>(hash >> 20U) << kIdBits; }

}  // namespace

void PieceStore::reserve(size_t n_pieces, size_t n_bytes) {
    offsets_.reserve(n_pieces + 1);
    bytes_.reserve(n_bytes);
}

void PieceStore::add(std::string_view text) {
    bytes_.insert(bytes_.end(), text.begin(), text.end());
    offsets_.push_back(static_cast<uint32_t>(bytes_.size()));
}

Status PieceMap::build(const PieceStore& store) {
    if (store.size() > kMaxVocabularySize) {
        return {StatusCode::unsupported, "too many pieces", "vocabulary"};
    }
    unsigned bits = 4;
    while ((size_t{1} << bits) < 2 * store.size()) {
        ++bits;
    }
    shift_ = 64 - bits;
    slots_.assign(size_t{1} << bits, kEmpty);
    const size_t mask = slots_.size() - 1;
    for (size_t id = 0; id < store.size(); ++id) {
        const std::string_view text = store[id];
        if (text.empty()) {
            continue;
        }
        const uint64_t hash = hash_text(text);
        const uint32_t tag = tag_of(hash);
        size_t at = hash >> shift_;
        for (size_t probes = 0; slots_[at] != kEmpty; at = (at + 1) & mask) {
            if ((slots_[at] & ~kIdMask) == tag && store[slots_[at] & kIdMask] == text) {
                return {StatusCode::corrupt, "piece occurs twice", text, static_cast<int64_t>(id)};
            }
            if (++probes > kMaxProbes) {
                return {StatusCode::unsupported, "pieces collide", text, static_cast<int64_t>(id)};
            }
        }
        slots_[at] = tag | static_cast<uint32_t>(id);
    }
    return {};
}

int32_t PieceMap::find(const PieceStore& store, std::string_view text) const {
    if (slots_.empty() || text.empty()) {
        return -1;
    }
    const uint64_t hash = hash_text(text);
    const uint32_t tag = tag_of(hash);
    const size_t mask = slots_.size() - 1;
    for (size_t at = hash >> shift_; slots_[at] != kEmpty; at = (at + 1) & mask) {
        const uint32_t id = slots_[at] & kIdMask;
        if ((slots_[at] & ~kIdMask) == tag && store[id] == text) {
            return static_cast<int32_t>(id);
        }
    }
    return -1;
}

void PieceMap::find_all(const PieceStore& store, std::span<const std::string_view> texts,
                        std::span<int32_t> ids) const {
    constexpr size_t kBlock = 64;
    std::array<uint64_t, kBlock> hashes;
    const size_t mask = slots_.size() - 1;
    for (; !slots_.empty() && !texts.empty(); texts = texts.subspan(std::min(kBlock, texts.size())),
                                              ids = ids.subspan(std::min(kBlock, ids.size()))) {
        const size_t n = std::min(kBlock, texts.size());
        for (size_t i = 0; i < n; ++i) {
            hashes[i] = hash_text(texts[i]);
            __builtin_prefetch(&slots_[hashes[i] >> shift_]);
        }
        for (size_t i = 0; i < n; ++i) {  // the first slot with the right tag is nearly always it
            const uint32_t tag = tag_of(hashes[i]);
            size_t at = hashes[i] >> shift_;
            while (slots_[at] != kEmpty && (slots_[at] & ~kIdMask) != tag) {
                at = (at + 1) & mask;
            }
            ids[i] = slots_[at] == kEmpty ? -1 : static_cast<int32_t>(slots_[at] & kIdMask);
            store.prefetch_offset(ids[i] < 0 ? 0 : static_cast<size_t>(ids[i]));
        }
        for (size_t i = 0; i < n; ++i) {
            store.prefetch_text(ids[i] < 0 ? 0 : static_cast<size_t>(ids[i]));
        }
        for (size_t i = 0; i < n; ++i) {
            if (ids[i] >= 0 && store[static_cast<size_t>(ids[i])] != texts[i]) {
                ids[i] = find(store, texts[i]);
            }
        }
    }
}

}  // namespace gemlet
