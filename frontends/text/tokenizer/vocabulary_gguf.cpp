// Vocabularies in GGUF metadata. String arrays are read where they lie in the mapped file: building
// vectors of views first costs as much as the rest of the reading.
#include <cstring>
#include <optional>

#include "core/guard.h"
#include "frontends/text/tokenizer/vocabulary.h"
#include "frontends/text/tokenizer/vocabulary_builder.h"

namespace gemlet {
namespace {

// Walks an array of strings: each is a 64-bit length and that many bytes.
class StringWalk {
  public:
    explicit StringWalk(const GgufValue& value) : rest_(value.bytes), left_(value.count) {}

    bool next(std::string_view& text) {
        uint64_t n_bytes = 0;
        if (left_ == 0 || rest_.size() < sizeof n_bytes) {
            return false;
        }
        std::memcpy(&n_bytes, rest_.data(), sizeof n_bytes);
        rest_ = rest_.subspan(sizeof n_bytes);
        if (n_bytes > rest_.size()) {
            return false;
        }
        text = {reinterpret_cast<const char*>(rest_.data()), static_cast<size_t>(n_bytes)};
        rest_ = rest_.subspan(static_cast<size_t>(n_bytes));
        --left_;
        return true;
    }
    bool complete() const { return left_ == 0; }

  private:
    std::span<const uint8_t> rest_;
    uint64_t left_;
};

const GgufValue* find_strings(const GgufFile& file, std::string_view key) {
    const GgufValue* value = file.find(key);
    const bool fits =
        value != nullptr && value->type == GgufType::array && value->element == GgufType::string;
    return fits ? value : nullptr;
}

std::string_view text_of(const GgufFile& file, std::string_view key) {
    const GgufValue* value = file.find(key);
    return value == nullptr ? std::string_view() : value->as_string().value_or(std::string_view());
}

Status check_model(const GgufFile& file) {
    const std::string_view model = text_of(file, "tokenizer.ggml.model");
    const std::string_view pre = text_of(file, "tokenizer.ggml.pre");
    if (model == "gemma4" || (model == "llama" && pre == "gemma4")) {
        return {};
    }
    return {StatusCode::unsupported, "another kind of tokenizer", "tokenizer.ggml.model"};
}

Status read_types(const GgufFile& file, uint64_t n_pieces, std::vector<int64_t>& types) {
    const char* key = "tokenizer.ggml.token_type";
    const GgufValue* value = file.find(key);
    if (value == nullptr) {
        return {};
    }
    std::optional<std::vector<int64_t>> given = value->as_integers();
    if (!given || given->size() != n_pieces) {
        return {StatusCode::corrupt, "not one type for each piece", key};
    }
    types = std::move(*given);
    return {};
}

Status add_pieces(const GgufFile& file, VocabularyBuilder& builder) {
    const char* key = "tokenizer.ggml.tokens";
    const GgufValue* tokens = find_strings(file, key);
    if (tokens == nullptr || tokens->count == 0) {
        return {StatusCode::not_found, "no vocabulary in this file", key};
    }
    std::vector<int64_t> types;
    GEMLET_TRY(read_types(file, tokens->count, types));
    builder.reserve(static_cast<size_t>(tokens->count), tokens->bytes.size());
    StringWalk walk(*tokens);
    std::string_view text;
    for (size_t id = 0; walk.next(text); ++id) {
        const int64_t type = types.empty() ? 1 : types[id];
        if (type < 0 || type > static_cast<int64_t>(PieceType::byte)) {
            return {StatusCode::corrupt, "type of a piece is out of range", text,
                    static_cast<int64_t>(id)};
        }
        GEMLET_TRY(builder.add_piece(text, type == 0 ? PieceType::normal : PieceType(type)));
        if (type == static_cast<int64_t>(PieceType::user_defined)) {
            builder.mark_literal(static_cast<int32_t>(id));  // index() takes the known tags back
        }
    }
    return walk.complete() ? Status() : Status(StatusCode::corrupt, "strings are cut off", key);
}

Status add_merges(const GgufFile& file, VocabularyBuilder& builder) {
    const char* key = "tokenizer.ggml.merges";
    const GgufValue* merges = find_strings(file, key);
    if (merges == nullptr) {
        return file.find(key) == nullptr
                   ? Status()
                   : Status(StatusCode::corrupt, "not a list of strings", key);
    }
    GEMLET_TRY(builder.reserve_merges(static_cast<size_t>(merges->count)));
    StringWalk walk(*merges);
    std::string_view text;
    for (int64_t rank = 0; walk.next(text); ++rank) {
        // Pieces hold no blank; looking from byte 1 keeps a left part that looks like one.
        const size_t blank = text.find(' ', 1);
        if (blank == std::string_view::npos) {
            return {StatusCode::corrupt, "merge without a blank", key, rank};
        }
        GEMLET_TRY(builder.add_merge(text.substr(0, blank), text.substr(blank + 1)));
    }
    return walk.complete() ? Status() : Status(StatusCode::corrupt, "strings are cut off", key);
}

Status read_role(const GgufFile& file, std::string_view key, std::optional<int64_t>& role) {
    if (const GgufValue* value = file.find(key); value != nullptr) {
        role = value->as_integer();
        if (!role) {
            return {StatusCode::corrupt, "not an id", key};
        }
    }
    return {};
}

Status read_roles(const GgufFile& file, VocabularyRoles& roles) {
    GEMLET_TRY(read_role(file, "tokenizer.ggml.bos_token_id", roles.bos));
    GEMLET_TRY(read_role(file, "tokenizer.ggml.eos_token_id", roles.eos));
    GEMLET_TRY(read_role(file, "tokenizer.ggml.unknown_token_id", roles.unknown));
    GEMLET_TRY(read_role(file, "tokenizer.ggml.padding_token_id", roles.padding));
    GEMLET_TRY(read_role(file, "tokenizer.ggml.mask_token_id", roles.mask));
    const char* key = "tokenizer.ggml.suppress_tokens";
    if (const GgufValue* value = file.find(key); value != nullptr) {
        std::optional<std::vector<int64_t>> ids = value->as_integers();
        if (!ids) {
            return {StatusCode::corrupt, "not a list of ids", key};
        }
        roles.suppressed_ids = std::move(*ids);
    }
    return {};
}

}  // namespace

Result<Vocabulary> vocabulary_from_gguf(const GgufFile& file) {
    return guard([&]() -> Result<Vocabulary> {
        VocabularyBuilder builder;
        VocabularyRoles roles;
        GEMLET_TRY(check_model(file));
        GEMLET_TRY(add_pieces(file, builder));
        GEMLET_TRY(builder.index());
        GEMLET_TRY(add_merges(file, builder));
        GEMLET_TRY(read_roles(file, roles));
        return builder.finish(roles);
    });
}

}  // namespace gemlet
