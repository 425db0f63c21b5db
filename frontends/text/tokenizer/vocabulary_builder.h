// Makes a Vocabulary step by step, checking everything: what its two readers have in common.
// Private to this folder and its tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "core/status.h"
#include "frontends/text/tokenizer/vocabulary.h"

namespace gemlet {

/// What a file says about single ids; unchecked. Where it names no id for a role, the usual text
/// ("<bos>" and so on) decides.
struct VocabularyRoles {
    std::optional<int64_t> bos, eos, unknown, padding, mask;
    /// The complete list of stop ids; without it they are eos and the texts that end a turn.
    std::optional<std::vector<int64_t>> stop_ids;
    std::vector<int64_t> suppressed_ids;
};

/// Call in this order: reserve, add_piece for id 0, 1, ..., mark_*, index, reserve_merges,
/// add_merge by rank, finish. After an error the builder is spent.
class VocabularyBuilder {
  public:
    void reserve(size_t n_pieces, size_t n_bytes);

    /// Adds the piece of the next id; an empty text is a gap without meaning. Pieces written
    /// "<0xHH>" are bytes whatever their type. Errors: `corrupt` (not UTF-8, a type without its
    /// form), `unsupported` (too long or too many).
    Status add_piece(std::string_view text, PieceType type);
    /// Ids must have been added.
    void mark_special(int32_t id);
    void mark_literal(int32_t id);

    /// Makes pieces findable by text and marks the known special texts. Errors: PieceMap::build's;
    /// `unsupported` where characters could have neither a byte's nor an unknown id.
    Status index();

    Status reserve_merges(size_t n_merges) { return made_.merges_.reserve(n_merges); }
    /// Adds the merge of the next rank. The texts must live until `finish`. Errors, which may show
    /// at a later call: `corrupt` where a part or the whole is no ordinary piece, and
    /// MergeTable::add's; the number is the rank.
    Status add_merge(std::string_view left, std::string_view right);

    /// Errors: `corrupt` where a role names an id that does not exist.
    Result<Vocabulary> finish(const VocabularyRoles& roles);

  private:
    void add_character(int32_t id, uint32_t code_point);
    void mark_mergeable();
    bool is_mergeable(int32_t id) const { return made_.has(id, Vocabulary::kMergeable); }
    Status add_waiting_merges();
    int32_t product_of(std::string_view left, std::string_view right);

    Vocabulary made_;
    int32_t likely_product_ = 0;  // of the next merge
    std::vector<char> joined_;
    std::vector<std::string_view> waiting_;  // left, right, left, right, ...
};

}  // namespace gemlet
