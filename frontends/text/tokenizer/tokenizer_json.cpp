// tokenizer.json through core/json.h, and the choice of the reader. Merges come in two spellings:
// pairs, or (older files) one text with a blank between the parts.
#include "frontends/text/tokenizer/tokenizer_json.h"

#include <cmath>
#include <optional>

#include "core/json.h"

namespace gemlet {
namespace {

Status corrupt(const char* text) { return {StatusCode::corrupt, text, "tokenizer.json"}; }

std::optional<int64_t> integer_of(const Json* value) {
    if (value == nullptr || !value->is_number() || !value->is_integer ||
        std::abs(value->number) > 1e15) {
        return std::nullopt;
    }
    return static_cast<int64_t>(value->number);
}

Status read_added(const Json& list, TokenizerJson& out) {
    if (!list.is_array()) {
        return corrupt("added_tokens is no list");
    }
    for (const Json& item : list.items) {
        const Json* content = item.find("content");
        const Json* special = item.find("special");
        const std::optional<int64_t> id = integer_of(item.find("id"));
        if (content == nullptr || !content->is_string() || !id) {
            return corrupt("added token without text or id");
        }
        out.added.push_back(
            {.text = content->text,
             .id = *id,
             .special = special != nullptr && special->is_bool() && special->boolean});
    }
    return {};
}

Status read_vocab(const Json& table, TokenizerJson& out) {
    if (!table.is_object()) {
        return corrupt("model.vocab is no table");
    }
    out.pieces.reserve(table.members.size());
    for (const auto& [text, value] : table.members) {
        const std::optional<int64_t> id = integer_of(&value);
        if (!id) {
            return corrupt("id of a piece is no integer");
        }
        out.add_piece(text, *id);
    }
    return {};
}

Status read_merges(const Json& list, TokenizerJson& out) {
    if (!list.is_array()) {
        return corrupt("model.merges is no list");
    }
    out.merges.reserve(list.items.size());
    for (const Json& item : list.items) {
        if (item.is_array() && item.items.size() == 2 && item.items[0].is_string() &&
            item.items[1].is_string()) {
            out.add_merge(item.items[0].text, item.items[1].text);
        } else if (!item.is_string() || !out.add_merge(item.text)) {
            return corrupt("merge is no pair");
        }
    }
    return {};
}

}  // namespace

void TokenizerJson::add_piece(std::string_view text, int64_t id) {
    pieces.push_back({.offset = bytes.size(), .length = text.size(), .id = id});
    bytes += text;
}

void TokenizerJson::add_merge(std::string_view left, std::string_view right) {
    merges.push_back(
        {.offset = bytes.size(), .left_length = left.size(), .right_length = right.size()});
    bytes += left;
    bytes += right;
}

bool TokenizerJson::add_merge(std::string_view both) {
    const size_t blank = both.find(' ', 1);
    if (blank == std::string_view::npos) {
        return false;
    }
    add_merge(both.substr(0, blank), both.substr(blank + 1));
    return true;
}

Result<TokenizerJson> parse_tokenizer_json_plain(std::string_view text) {
    const Result<Json> parsed = parse_json(text, DuplicateKeys::reject);
    if (!parsed) {
        return Status(parsed.error().code(), "not JSON", "tokenizer.json", parsed.error().number());
    }
    TokenizerJson out;
    const Json* model = parsed->find("model");
    const Json* vocab = model == nullptr ? nullptr : model->find("vocab");
    if (vocab == nullptr) {
        return corrupt("no model.vocab");
    }
    GEMLET_TRY(read_vocab(*vocab, out));
    if (const Json* merges = model->find("merges"); merges != nullptr) {
        GEMLET_TRY(read_merges(*merges, out));
    }
    if (const Json* added = parsed->find("added_tokens"); added != nullptr) {
        GEMLET_TRY(read_added(*added, out));
    }
    if (const Json* type = model->find("type"); type != nullptr && type->is_string()) {
        out.model_type = type->text;
    }
    return out;
}

Result<TokenizerJson> parse_tokenizer_json(std::string_view text) {
#ifdef GEMLET_WITH_SIMDJSON
    return parse_tokenizer_json_simdjson(text);
#else
    return parse_tokenizer_json_plain(text);
#endif
}

}  // namespace gemlet
