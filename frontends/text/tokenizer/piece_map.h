// Piece texts and the way back: one block of bytes with offsets, and a hash map from text to id
// that costs four bytes a slot.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/status.h"

namespace gemlet {

/// Ids are below this, so that an id fits the hash tables' 20 bits and never their empty mark.
inline constexpr size_t kMaxVocabularySize = (size_t{1} << 20U) - 1;

/// Texts by index, stored one after another.
class PieceStore {
  public:
    void reserve(size_t n_pieces, size_t n_bytes);
    void add(std::string_view text);
    size_t size() const { return offsets_.size() - 1; }
    size_t n_bytes() const { return bytes_.size(); }
    std::string_view operator[](size_t i) const {
        return {bytes_.data() + offsets_[i], offsets_[i + 1] - offsets_[i]};
    }
    /// Starts fetching what operator[] will read: first the offsets, a little later the text.
    void prefetch_offset(size_t i) const { __builtin_prefetch(&offsets_[i]); }
    void prefetch_text(size_t i) const { __builtin_prefetch(bytes_.data() + offsets_[i]); }

  private:
    std::vector<char> bytes_;
    std::vector<uint32_t> offsets_{0};
};

/// Text to id over a PieceStore, which is passed in so that both can move freely.
class PieceMap {
  public:
    /// Enters all texts that are not empty. Errors: `corrupt` where two are equal, `unsupported`
    /// where the texts are made to collide or too many; the number is the id.
    Status build(const PieceStore& store);

    /// Returns the id of that text or -1.
    int32_t find(const PieceStore& store, std::string_view text) const;
    /// The same for several texts; ids.size() == texts.size(). Several times as fast per text,
    /// because the memory accesses of different texts overlap.
    void find_all(const PieceStore& store, std::span<const std::string_view> texts,
                  std::span<int32_t> ids) const;

  private:
    std::vector<uint32_t> slots_;  // id in the low 20 bits, hash bits above
    unsigned shift_ = 63;          // of the hash, to the slot index
};

}  // namespace gemlet
