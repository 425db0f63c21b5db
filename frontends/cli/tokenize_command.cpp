// gemlet tokenize and gemlet detokenize: the vocabulary alone, without the weights.
#include <charconv>
#include <vector>

#include "core/json.h"
#include "frontends/cli/commands.h"
#include "frontends/cli/streams.h"
#include "frontends/text/text_files.h"
#include "frontends/text/tokenizer/detokenizer.h"

namespace gemlet {
namespace {

Result<Tokenizer> open_tokenizer(const std::string& model) {
    const Result<TextFiles> files = TextFiles::open(model);
    GEMLET_TRY(files);
    return files->tokenizer();
}

std::string ids_line(const std::vector<int32_t>& ids) {
    std::string line = "[";
    for (const int32_t id : ids) {
        if (line.size() > 1) line += ',';
        line += std::to_string(id);
    }
    return line + "]";
}

Result<int32_t> id_of(const Json& value) {
    if (!value.is_number() || !value.is_integer || !(value.number >= INT32_MIN) ||
        !(value.number <= INT32_MAX)) {
        return Status(StatusCode::bad_argument, "not a token id", write_json(value));
    }
    return static_cast<int32_t>(value.number);
}

Result<std::vector<int32_t>> ids_of_json(std::string_view text) {
    const Result<Json> list = parse_json(text);
    if (!list || !list->is_array()) {
        return Status(StatusCode::bad_argument, "not a JSON array of token ids");
    }
    std::vector<int32_t> ids;
    for (const Json& item : list->items) {
        const Result<int32_t> id = id_of(item);
        GEMLET_TRY(id);
        ids.push_back(*id);
    }
    return ids;
}

/// A JSON array, or numbers separated by commas and white space.
Result<std::vector<int32_t>> ids_of(std::string_view text) {
    constexpr std::string_view kSpace = " \t\r\n,";
    const size_t first = text.find_first_not_of(" \t\r\n");
    if (first != std::string_view::npos && text[first] == '[') return ids_of_json(text);
    std::vector<int32_t> ids;
    size_t at = text.find_first_not_of(kSpace);
    while (at != std::string_view::npos) {
        const std::string_view word = text.substr(at, text.find_first_of(kSpace, at) - at);
        int32_t id = 0;
        const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), id);
        if (error != std::errc() || end != word.data() + word.size()) {
            return Status(StatusCode::bad_argument, "not a token id", word);
        }
        ids.push_back(id);
        at = text.find_first_not_of(kSpace, at + word.size());
    }
    return ids;
}

std::string tokenize_line(const Tokenizer& tokenizer, std::string_view line, bool special) {
    const Result<Json> text = parse_json(line);
    if (!text || !text->is_string()) return error_line("not a JSON string");
    return ids_line(tokenizer.encode(text->text, special));
}

std::string detokenize_line(const Vocabulary& vocabulary, std::string_view line, bool skip) {
    const Result<std::vector<int32_t>> ids = ids_of_json(line);
    if (!ids) return error_line(ids.error().message());
    const Result<std::string> text = detokenize(vocabulary, *ids, skip);
    if (!text) return error_line(text.error().message());
    return write_json(Json::of(*text));
}

}  // namespace

Failure tokenize_command(const Options& options) {
    const Result<Tokenizer> tokenizer = open_tokenizer(options.model);
    if (!tokenizer) return {tokenizer.error(), options.model};
    if (options.jsonl) {
        return answer_lines([&](std::string_view line) {
            return tokenize_line(*tokenizer, line, options.special);
        });
    }
    const Result<std::string> text =
        options.has_text ? Result<std::string>(options.text) : read_input();
    if (!text) return text.error();
    Output out;
    out.write_line(ids_line(tokenizer->encode(*text, options.special)));
    return out.finish();
}

Failure detokenize_command(const Options& options) {
    const Result<Tokenizer> tokenizer = open_tokenizer(options.model);
    if (!tokenizer) return {tokenizer.error(), options.model};
    const Vocabulary& vocabulary = tokenizer->vocabulary();
    if (options.jsonl) {
        return answer_lines([&](std::string_view line) {
            return detokenize_line(vocabulary, line, options.skip_special);
        });
    }
    const Result<std::string> list =
        options.has_text ? Result<std::string>(options.text) : read_input();
    if (!list) return list.error();
    const Result<std::vector<int32_t>> ids = ids_of(*list);
    if (!ids) return ids.error();
    const Result<std::string> text = detokenize(vocabulary, *ids, options.skip_special);
    if (!text) return text.error();
    Output out;
    out.write(*text);
    out.end_for_terminal();
    return out.finish();
}

}  // namespace gemlet
