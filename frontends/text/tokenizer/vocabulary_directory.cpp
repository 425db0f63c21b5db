// Vocabularies in the Hugging Face layout. tokenizer.json holds pieces, merges and the added
// tokens; the two small files next to it, which may be missing, name the roles and the stop ids.
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "core/files/mapped_file.h"
#include "core/guard.h"
#include "core/json.h"
#include "frontends/text/tokenizer/tokenizer_json.h"
#include "frontends/text/tokenizer/vocabulary.h"
#include "frontends/text/tokenizer/vocabulary_builder.h"

namespace gemlet {
namespace {

constexpr size_t kMaxTokenizerBytes = size_t{512} << 20U;  // published ones are 32 MB
constexpr size_t kMaxConfigBytes = size_t{16} << 20U;

std::string_view text_of(const MappedFile& file) {
    return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

// Leaves `out` null where there is no such file.
Status read_optional(const std::string& path, const char* name, Json& out) {
    const Result<MappedFile> file = MappedFile::open(path + "/" + name);
    if (!file) {
        return file.error().code() == StatusCode::not_found ? Status() : file.error();
    }
    if (file->bytes().size() > kMaxConfigBytes) {
        return {StatusCode::unsupported, "file is too large", name};
    }
    Result<Json> parsed = parse_json(text_of(*file), DuplicateKeys::last_wins);
    if (!parsed) {
        return {StatusCode::corrupt, "not JSON", name, parsed.error().number()};
    }
    out = std::move(*parsed);
    return {};
}

std::optional<int64_t> integer_of(const Json& value) {
    if (!value.is_number() || !value.is_integer || std::abs(value.number) > 1e15) {
        return std::nullopt;
    }
    return static_cast<int64_t>(value.number);
}

// An id, or a list of ids; null and absent are the same.
Status read_ids(const Json& config, std::string_view key,
                std::optional<std::vector<int64_t>>& ids) {
    const Json* value = config.find(key);
    if (value == nullptr || value->is_null()) {
        return {};
    }
    ids.emplace();
    const size_t n = value->is_array() ? value->items.size() : 1;
    for (size_t i = 0; i < n; ++i) {
        const std::optional<int64_t> id = integer_of(value->is_array() ? value->items[i] : *value);
        if (!id) {
            return {StatusCode::corrupt, "not an id", key};
        }
        ids->push_back(*id);
    }
    return {};
}

// tokenizer_config.json names roles by text, either plainly or as {"content": text}.
std::optional<int64_t> named_role(const Json& config, std::string_view key,
                                  const std::vector<std::string_view>& texts) {
    const Json* value = config.find(key);
    if (value != nullptr && value->is_object()) {
        value = value->find("content");
    }
    if (value == nullptr || !value->is_string() || value->text.empty()) {
        return std::nullopt;
    }
    for (size_t id = 0; id < texts.size(); ++id) {
        if (texts[id] == value->text) {
            return static_cast<int64_t>(id);
        }
    }
    return std::nullopt;  // a text that is no piece
}

// Orders all pieces by id; ids that no piece has stay empty.
Status order_pieces(const TokenizerJson& json, std::vector<std::string_view>& texts) {
    const auto put = [&](std::string_view text, int64_t id) -> Status {
        if (id < 0 || id >= static_cast<int64_t>(kMaxVocabularySize)) {
            return {StatusCode::corrupt, "id of a piece is out of range", text, id};
        }
        const auto at = static_cast<size_t>(id);
        if (at >= texts.size()) {
            texts.resize(at + 1);
        }
        if (!texts[at].empty() && texts[at] != text) {
            return {StatusCode::corrupt, "two pieces have one id", text, id};
        }
        texts[at] = text;
        return {};
    };
    texts.reserve(json.pieces.size());
    for (const TokenizerJson::Piece& piece : json.pieces) {
        GEMLET_TRY(put(json.text(piece), piece.id));
    }
    for (const TokenizerJson::Added& added : json.added) {
        if (added.text.empty()) {
            return {StatusCode::corrupt, "added token is empty", "tokenizer.json", added.id};
        }
        GEMLET_TRY(put(added.text, added.id));
    }
    return {};
}

Status add_pieces(const TokenizerJson& json, const std::vector<std::string_view>& texts,
                  VocabularyBuilder& builder) {
    std::vector<PieceType> types(texts.size(), PieceType::normal);
    for (const TokenizerJson::Added& added : json.added) {
        types[static_cast<size_t>(added.id)] =
            added.special ? PieceType::control : PieceType::user_defined;
    }
    builder.reserve(texts.size(), json.bytes.size() / 2);
    for (size_t id = 0; id < texts.size(); ++id) {
        GEMLET_TRY(builder.add_piece(texts[id], types[id]));
    }
    for (const TokenizerJson::Added& added : json.added) {
        if (!added.special) {
            builder.mark_literal(static_cast<int32_t>(added.id));
        }
    }
    return {};
}

Status add_merges(const TokenizerJson& json, VocabularyBuilder& builder) {
    GEMLET_TRY(builder.reserve_merges(json.merges.size()));
    for (const TokenizerJson::Merge& merge : json.merges) {
        const std::string_view both =
            std::string_view(json.bytes)
                .substr(merge.offset, merge.left_length + merge.right_length);
        GEMLET_TRY(
            builder.add_merge(both.substr(0, merge.left_length), both.substr(merge.left_length)));
    }
    return {};
}

Status read_roles(const std::string& path, const std::vector<std::string_view>& texts,
                  VocabularyRoles& roles) {
    Json tokenizer;
    Json generation;
    GEMLET_TRY(read_optional(path, "tokenizer_config.json", tokenizer));
    GEMLET_TRY(read_optional(path, "generation_config.json", generation));
    roles.bos = named_role(tokenizer, "bos_token", texts);
    roles.eos = named_role(tokenizer, "eos_token", texts);
    roles.unknown = named_role(tokenizer, "unk_token", texts);
    roles.padding = named_role(tokenizer, "pad_token", texts);
    roles.mask = named_role(tokenizer, "mask_token", texts);
    std::optional<std::vector<int64_t>> suppressed;
    GEMLET_TRY(read_ids(generation, "eos_token_id", roles.stop_ids));
    GEMLET_TRY(read_ids(generation, "suppress_tokens", suppressed));
    if (suppressed) {
        roles.suppressed_ids = std::move(*suppressed);
    }
    return {};
}

Result<Vocabulary> build(const std::string& path, const TokenizerJson& json) {
    if (!json.model_type.empty() && json.model_type != "BPE") {
        return Status(StatusCode::unsupported, "another kind of tokenizer", json.model_type);
    }
    std::vector<std::string_view> texts;
    GEMLET_TRY(order_pieces(json, texts));
    if (texts.empty()) {
        return Status(StatusCode::not_found, "no vocabulary in this file", "tokenizer.json");
    }
    VocabularyBuilder builder;
    VocabularyRoles roles;
    GEMLET_TRY(add_pieces(json, texts, builder));
    GEMLET_TRY(builder.index());
    GEMLET_TRY(add_merges(json, builder));
    GEMLET_TRY(read_roles(path, texts, roles));
    return builder.finish(roles);
}

}  // namespace

Result<Vocabulary> vocabulary_from_directory(const std::string& path) {
    return guard([&]() -> Result<Vocabulary> {
        const Result<MappedFile> file = MappedFile::open(path + "/tokenizer.json");
        GEMLET_TRY(file);
        if (file->bytes().size() > kMaxTokenizerBytes) {
            return Status(StatusCode::unsupported, "file is too large", "tokenizer.json");
        }
        const Result<TokenizerJson> json = parse_tokenizer_json(text_of(*file));
        GEMLET_TRY(json);
        return build(path, *json);
    });
}

}  // namespace gemlet
