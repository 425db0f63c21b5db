// Text to token ids and back.
#include <vector>

#include "frontends/server/api/json_fields.h"
#include "frontends/server/endpoints.h"
#include "frontends/text/tokenizer/detokenizer.h"

namespace gemlet::server {
namespace {

/// A token's bytes as text, or as a list where they are no UTF-8 of their own.
Json piece_json(const Vocabulary& vocabulary, int32_t id) {
    const std::string_view bytes = vocabulary.bytes(id);
    if (replace_broken_utf8(bytes) == bytes) return Json::of(bytes);
    Json list = Json::array();
    for (const char c : bytes) {
        list.items.push_back(Json::of_integer(static_cast<unsigned char>(c)));
    }
    return list;
}

}  // namespace

HttpResponse post_tokenize(Service& service, const HttpRequest& request) {
    Json body;
    if (ApiError error = read_body(service, request, body); !error.ok()) {
        return error_response(error);
    }
    JsonFields fields(body);
    const auto content = fields.string("content");
    if (!content) fields.refuse("content", "is missing");
    const bool add_special = fields.boolean("add_special").value_or(false);
    const bool parse_special = fields.boolean("parse_special").value_or(true);
    const bool with_pieces = fields.boolean("with_pieces").value_or(false);
    if (!fields.ok()) return error_response(fields.error());
    const Vocabulary& vocabulary = service.model.tokenizer.vocabulary();
    std::vector<int32_t> ids = service.model.tokenizer.encode(*content, parse_special);
    if (add_special && vocabulary.add_bos()) ids.insert(ids.begin(), vocabulary.bos());
    Json tokens = Json::array();
    for (const int32_t id : ids) {
        if (!with_pieces) {
            tokens.items.push_back(Json::of_integer(id));
            continue;
        }
        Json token = Json::object();
        token.set("id", Json::of_integer(id)).set("piece", piece_json(vocabulary, id));
        tokens.items.push_back(std::move(token));
    }
    Json json = Json::object();
    json.set("tokens", std::move(tokens));
    return json_response(json);
}

HttpResponse post_detokenize(Service& service, const HttpRequest& request) {
    Json body;
    if (ApiError error = read_body(service, request, body); !error.ok()) {
        return error_response(error);
    }
    JsonFields fields(body);
    const Json* tokens = fields.array("tokens");
    if (tokens == nullptr) fields.refuse("tokens", "is missing");
    if (!fields.ok()) return error_response(fields.error());
    const Vocabulary& vocabulary = service.model.tokenizer.vocabulary();
    std::vector<int32_t> ids;
    for (const Json& token : tokens->items) {
        const bool valid = token.is_number() && token.is_integer && token.number >= 0 &&
                           token.number < static_cast<double>(vocabulary.size());
        if (!valid) {
            return error_response(bad_request("tokens has an id that is no token", "tokens"));
        }
        ids.push_back(static_cast<int32_t>(token.number));
    }
    const Result<std::string> text = detokenize(vocabulary, ids, false);
    if (!text) return error_response(error_of(text.error(), "tokens"));
    Json json = Json::object();
    json.set("content", Json::of(*text));
    return json_response(json);
}

}  // namespace gemlet::server
