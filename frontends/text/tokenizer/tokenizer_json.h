// What a tokenizer.json says, before any of it is believed. Private to this folder and its tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/status.h"

namespace gemlet {

/// A parsed tokenizer.json. Texts of pieces and merges lie one after another in `bytes`.
struct TokenizerJson {
    struct Piece {
        size_t offset = 0;
        size_t length = 0;
        int64_t id = 0;
    };
    struct Merge {
        size_t offset = 0;
        size_t left_length = 0;
        size_t right_length = 0;  // directly behind the left part
    };
    struct Added {
        std::string text;
        int64_t id = 0;
        bool special = false;
    };

    std::string bytes;
    std::vector<Piece> pieces;
    std::vector<Merge> merges;  // by rank
    std::vector<Added> added;
    std::string model_type;

    std::string_view text(const Piece& piece) const {
        return std::string_view(bytes).substr(piece.offset, piece.length);
    }
    void add_piece(std::string_view text, int64_t id);
    void add_merge(std::string_view left, std::string_view right);
    /// Adds a merge written as one text, "left right". Returns false where there is no blank.
    bool add_merge(std::string_view both);
};

/// Parses the text of a tokenizer.json, with simdjson where it is built in.
/// Errors: `corrupt` with the subject "tokenizer.json".
Result<TokenizerJson> parse_tokenizer_json(std::string_view text);

/// The same with core/json.h: slower, and several times the text's size in memory.
Result<TokenizerJson> parse_tokenizer_json_plain(std::string_view text);

/// The same with simdjson; only where it is built in.
Result<TokenizerJson> parse_tokenizer_json_simdjson(std::string_view text);

}  // namespace gemlet
