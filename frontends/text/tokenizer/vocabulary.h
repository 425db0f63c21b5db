// The vocabulary of a model: pieces, their types, merges, special pieces and stop ids, read from a
// GGUF file or a Hugging Face directory. All ids come from the file, none is built in.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/files/gguf.h"
#include "core/status.h"
#include "frontends/text/tokenizer/merge_table.h"
#include "frontends/text/tokenizer/piece_map.h"

namespace gemlet {

/// Piece types by their number in GGUF files. Of the known specials, those that mark up a reply are
/// `user_defined` and the others `control`, whatever the file says.
enum class PieceType : uint8_t { normal = 1, unknown, control, user_defined, unused, byte };

/// "No such token": for roles a vocabulary does not fill and texts it does not hold.
inline constexpr int32_t kNoToken = -1;

/// Immutable after load, safe from several threads. Ids outside [0, size()) are allowed in every
/// query; they have no text, no role and type `unused`.
class Vocabulary {
  public:
    size_t size() const { return pieces_.size(); }
    bool contains(int32_t id) const { return id >= 0 && static_cast<size_t>(id) < size(); }

    /// Returns the piece as the file writes it: a blank is U+2581, byte 10 is "<0x0A>".
    std::string_view piece(int32_t id) const {
        return contains(id) ? pieces_[static_cast<size_t>(id)] : std::string_view();
    }
    /// Returns what the piece adds to decoded text: blanks for U+2581, the byte itself for a byte.
    std::string_view bytes(int32_t id) const {
        return contains(id) ? decoded_[static_cast<size_t>(id)] : std::string_view();
    }
    PieceType type(int32_t id) const {
        return contains(id) ? types_[static_cast<size_t>(id)] : PieceType::unused;
    }
    /// Special: its text becomes its id only where the caller parses specials, and it is left out
    /// of decoded text on request. Among them are the tags of type `user_defined`.
    bool is_special(int32_t id) const { return has(id, kSpecial); }
    /// Literal: its text always becomes its id, before any merging. Usually there are none.
    bool is_literal(int32_t id) const { return has(id, kLiteral); }
    /// Stop: generation ends here and the id is no part of the text.
    bool is_stop(int32_t id) const { return has(id, kStop); }

    /// Returns the id of a piece as `piece` gives it, or kNoToken.
    int32_t id_of(std::string_view text) const { return map_.find(pieces_, text); }
    /// Returns the id of one character (a blank's is U+2581's), or kNoToken where the vocabulary
    /// lacks it and its bytes must serve.
    int32_t character_id(uint32_t code_point) const {
        return characters_[size_t{character_pages_[code_point >> 8U]} * 256 + (code_point & 0xFFU)];
    }
    /// Returns the id of a byte, or kNoToken.
    int32_t byte_id(uint8_t byte) const { return byte_ids_[byte]; }

    int32_t bos() const { return roles_.bos; }
    int32_t eos() const { return roles_.eos; }
    int32_t unknown() const { return roles_.unknown; }
    int32_t padding() const { return roles_.padding; }
    int32_t mask() const { return roles_.mask; }
    /// Returns whether a plain prompt begins with bos(): always, where there is one (files that say
    /// otherwise are known to be wrong). Rendered chats bring their own.
    bool add_bos() const { return roles_.bos != kNoToken; }
    /// Ascending.
    std::span<const int32_t> stop_ids() const { return stop_ids_; }
    /// Ids that must never be sampled. Ascending.
    std::span<const int32_t> suppressed_ids() const { return suppressed_ids_; }

    size_t longest_piece_bytes() const { return longest_piece_bytes_; }
    const MergeTable& merges() const { return merges_; }

  private:
    friend class VocabularyBuilder;
    static constexpr uint8_t kSpecial = 1;
    static constexpr uint8_t kLiteral = 2;
    static constexpr uint8_t kStop = 4;
    static constexpr uint8_t kMergeable = 8;  // an ordinary piece: a character, part of a merge
    struct Roles {
        int32_t bos = kNoToken, eos = kNoToken, unknown = kNoToken, padding = kNoToken,
                mask = kNoToken;
    };

    bool has(int32_t id, uint8_t flag) const {
        return contains(id) && (flags_[static_cast<size_t>(id)] & flag) != 0;
    }

    PieceStore pieces_;
    PieceStore decoded_;
    PieceMap map_;
    std::vector<PieceType> types_;
    std::vector<uint8_t> flags_;
    MergeTable merges_;
    std::vector<uint16_t> character_pages_;  // [0x1100]: page of characters_; page 0 is empty
    std::vector<int32_t> characters_;        // [n_pages, 256]
    std::array<int32_t, 256> byte_ids_{};
    Roles roles_;
    std::vector<int32_t> stop_ids_;
    std::vector<int32_t> suppressed_ids_;
    size_t longest_piece_bytes_ = 0;
};

/// Reads `tokenizer.ggml.*`. The file is not needed afterwards.
/// Errors: `not_found` (no pieces), `unsupported` (another kind of tokenizer, beyond our limits),
/// `corrupt` (contradictions: pieces twice, merges or ids naming nothing); the subject is the key
/// or the piece.
Result<Vocabulary> vocabulary_from_gguf(const GgufFile& file);

/// Reads tokenizer.json and, where present, tokenizer_config.json and generation_config.json of a
/// Hugging Face directory. Errors: as above, and `io`; the subject is the file, key or piece.
Result<Vocabulary> vocabulary_from_directory(const std::string& path);

}  // namespace gemlet
