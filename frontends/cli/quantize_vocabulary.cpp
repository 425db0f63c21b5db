// Types and roles are the tokenizer's; only merges must be read again, since it keeps ids.
#include "frontends/cli/quantize_vocabulary.h"

#include "core/files/mapped_file.h"
#include "core/json.h"
#include "frontends/text/tokenizer/tokenizer_json.h"

namespace gemlet {
namespace {

std::string_view text_of(const MappedFile& file) {
    return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

/// chat_template.jinja, or the template inside tokenizer_config.json; empty where there is neither.
std::string chat_template(const std::string& directory) {
    if (const Result<MappedFile> file = MappedFile::open(directory + "/chat_template.jinja")) {
        return std::string(text_of(*file));
    }
    const Result<MappedFile> file = MappedFile::open(directory + "/tokenizer_config.json");
    if (!file) return {};
    const Result<Json> config = parse_json(text_of(*file), DuplicateKeys::last_wins);
    const Json* value = config ? config->find("chat_template") : nullptr;
    return value != nullptr && value->is_string() ? value->text : std::string();
}

}  // namespace

Result<GgufVocabulary> gguf_vocabulary(const std::string& directory, const Tokenizer& tokenizer) {
    const Result<MappedFile> file = MappedFile::open(directory + "/tokenizer.json");
    GEMLET_TRY(file);
    const Result<TokenizerJson> json = parse_tokenizer_json(text_of(*file));
    GEMLET_TRY(json);
    const Vocabulary& from = tokenizer.vocabulary();
    GgufVocabulary out;
    for (size_t id = 0; id < from.size(); ++id) {
        out.tokens.emplace_back(from.piece(static_cast<int32_t>(id)));
        out.types.push_back(static_cast<int32_t>(from.type(static_cast<int32_t>(id))));
    }
    for (const TokenizerJson::Merge& merge : json->merges) {
        const std::string_view bytes = json->bytes;
        std::string both(bytes.substr(merge.offset, merge.left_length));
        both += ' ';
        both += bytes.substr(merge.offset + merge.left_length, merge.right_length);
        out.merges.push_back(std::move(both));
    }
    out.bos = from.bos();
    out.eos = from.eos();
    out.unknown = from.unknown();
    out.padding = from.padding();
    out.mask = from.mask();
    out.suppressed.assign(from.suppressed_ids().begin(), from.suppressed_ids().end());
    out.chat_template = chat_template(directory);
    return out;
}

}  // namespace gemlet
