// tokenizer.json through simdjson, because a full vocabulary is 30 MB of JSON on the way to the
// first token. One pass in document order: members may come in any order, and what is not needed
// is skipped (its brackets and its UTF-8 are checked all the same).
#include <simdjson.h>

#include "frontends/text/tokenizer/tokenizer_json.h"

namespace gemlet {
namespace {

namespace od = simdjson::ondemand;
using simdjson::error_code;
using simdjson::SUCCESS;

// Returns the error from a function of simdjson's kind.
#define GEMLET_TRY_JSON(expression)                                    \
    do {                                                               \
        if (const error_code code_ = (expression); code_ != SUCCESS) { \
            return code_;                                              \
        }                                                              \
    } while (false)

error_code read_vocab(od::value value, TokenizerJson& out) {
    od::object table;
    GEMLET_TRY_JSON(value.get_object().get(table));
    for (auto entry : table) {
        od::field field;
        std::string_view text;
        int64_t id = 0;
        GEMLET_TRY_JSON(std::move(entry).get(field));
        GEMLET_TRY_JSON(field.unescaped_key().get(text));
        GEMLET_TRY_JSON(field.value().get_int64().get(id));
        out.add_piece(text, id);
    }
    return SUCCESS;
}

error_code read_merge(od::value value, TokenizerJson& out) {
    od::json_type type = od::json_type::null;
    GEMLET_TRY_JSON(value.type().get(type));
    if (type == od::json_type::string) {
        std::string_view both;
        GEMLET_TRY_JSON(value.get_string().get(both));
        return out.add_merge(both) ? SUCCESS : simdjson::INCORRECT_TYPE;
    }
    od::array pair;
    GEMLET_TRY_JSON(value.get_array().get(pair));
    std::string_view parts[2];
    size_t n = 0;
    for (auto item : pair) {
        if (n == 2) {
            return simdjson::INCORRECT_TYPE;
        }
        GEMLET_TRY_JSON(item.get_string().get(parts[n]));
        ++n;
    }
    if (n != 2) {
        return simdjson::INCORRECT_TYPE;
    }
    out.add_merge(parts[0], parts[1]);
    return SUCCESS;
}

error_code read_merges(od::value value, TokenizerJson& out) {
    od::array list;
    GEMLET_TRY_JSON(value.get_array().get(list));
    for (auto item : list) {
        od::value merge;
        GEMLET_TRY_JSON(item.get(merge));
        GEMLET_TRY_JSON(read_merge(merge, out));
    }
    return SUCCESS;
}

error_code read_model(od::value value, TokenizerJson& out, bool& has_vocab) {
    od::object model;
    GEMLET_TRY_JSON(value.get_object().get(model));
    for (auto entry : model) {
        od::field field;
        std::string_view key;
        GEMLET_TRY_JSON(std::move(entry).get(field));
        GEMLET_TRY_JSON(field.unescaped_key().get(key));
        if (key == "vocab") {
            has_vocab = true;
            GEMLET_TRY_JSON(read_vocab(field.value(), out));
        } else if (key == "merges") {
            GEMLET_TRY_JSON(read_merges(field.value(), out));
        } else if (key == "type") {
            std::string_view type;
            GEMLET_TRY_JSON(field.value().get_string().get(type));
            out.model_type = type;
        }
    }
    return SUCCESS;
}

error_code read_added(od::value value, TokenizerJson& out) {
    od::array list;
    GEMLET_TRY_JSON(value.get_array().get(list));
    for (auto item : list) {
        od::object token;
        TokenizerJson::Added added;
        bool has_text = false;
        bool has_id = false;
        GEMLET_TRY_JSON(item.get_object().get(token));
        for (auto entry : token) {
            od::field field;
            std::string_view key;
            GEMLET_TRY_JSON(std::move(entry).get(field));
            GEMLET_TRY_JSON(field.unescaped_key().get(key));
            if (key == "content") {
                std::string_view text;
                GEMLET_TRY_JSON(field.value().get_string().get(text));
                added.text = text;
                has_text = true;
            } else if (key == "id") {
                GEMLET_TRY_JSON(field.value().get_int64().get(added.id));
                has_id = true;
            } else if (key == "special") {
                GEMLET_TRY_JSON(field.value().get_bool().get(added.special));
            }
        }
        if (!has_text || !has_id) {
            return simdjson::NO_SUCH_FIELD;
        }
        out.added.push_back(std::move(added));
    }
    return SUCCESS;
}

error_code read_document(od::parser& parser, const simdjson::padded_string& json,
                         TokenizerJson& out) {
    od::document document;
    od::object root;
    bool has_vocab = false;
    GEMLET_TRY_JSON(parser.iterate(json).get(document));
    GEMLET_TRY_JSON(document.get_object().get(root));
    for (auto entry : root) {
        od::field field;
        std::string_view key;
        GEMLET_TRY_JSON(std::move(entry).get(field));
        GEMLET_TRY_JSON(field.unescaped_key().get(key));
        if (key == "model") {
            GEMLET_TRY_JSON(read_model(field.value(), out, has_vocab));
        } else if (key == "added_tokens") {
            GEMLET_TRY_JSON(read_added(field.value(), out));
        }
    }
    // There is no location behind the last token.
    if (document.current_location().error() != simdjson::OUT_OF_BOUNDS) {
        return simdjson::TRAILING_CONTENT;
    }
    return has_vocab ? SUCCESS : simdjson::NO_SUCH_FIELD;
}

#undef GEMLET_TRY_JSON

}  // namespace

Result<TokenizerJson> parse_tokenizer_json_simdjson(std::string_view text) {
    const simdjson::padded_string padded(text);
    od::parser parser;
    TokenizerJson out;
    if (padded.data() == nullptr) {
        return Status(StatusCode::out_of_memory, "not enough memory", "tokenizer.json");
    }
    out.bytes.reserve(text.size() / 3);
    const error_code code = read_document(parser, padded, out);
    if (code == simdjson::MEMALLOC) {
        return Status(StatusCode::out_of_memory, "not enough memory", "tokenizer.json");
    }
    if (code != SUCCESS) {
        return Status(StatusCode::corrupt, simdjson::error_message(code), "tokenizer.json", code);
    }
    return out;
}

}  // namespace gemlet
