// Cuts text at its special pieces and hands what is between to the byte-pair encoder. With trusted
// and untrusted segments mixed, text is first joined up to the next trusted special: merges then
// see what they would see in the whole prompt, and no text becomes a special by being joined.
#include "frontends/text/tokenizer/tokenizer.h"

#include <utility>

#include "core/guard.h"
#include "frontends/text/tokenizer/byte_pair.h"

namespace gemlet {
namespace {

void encode_matching(const TextMatcher& matcher, std::string_view text, BytePairEncoder& encoder,
                     std::vector<int32_t>& ids) {
    size_t from = 0;
    while (!matcher.empty()) {
        const TextMatcher::Match match = matcher.find(text, from);
        if (match.id < 0) {
            break;
        }
        encoder.encode(text.substr(from, match.begin - from));
        ids.push_back(match.id);
        from = match.begin + match.length;
    }
    encoder.encode(text.substr(from));
}

Result<Tokenizer> make_tokenizer(Result<Vocabulary> vocabulary) {
    return guard([&]() -> Result<Tokenizer> {
        GEMLET_TRY(vocabulary);
        return Tokenizer(std::move(*vocabulary));
    });
}

}  // namespace

Tokenizer::Tokenizer(Vocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {
    for (int32_t id = 0; vocabulary_.contains(id); ++id) {
        const bool literal = vocabulary_.is_literal(id);
        if ((literal || vocabulary_.is_special(id)) && !vocabulary_.piece(id).empty()) {
            all_.add(vocabulary_.piece(id), id);
            if (literal) {
                literals_.add(vocabulary_.piece(id), id);
            }
        }
    }
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, bool parse_special) const {
    std::vector<int32_t> ids;
    BytePairEncoder encoder(vocabulary_, ids);
    encode_matching(parse_special ? all_ : literals_, text, encoder, ids);
    return ids;
}

std::vector<int32_t> Tokenizer::encode_segments(std::span<const TextSegment> segments) const {
    std::vector<int32_t> ids;
    std::string pending;  // text since the last special
    BytePairEncoder encoder(vocabulary_, ids);
    for (const TextSegment& segment : segments) {
        std::string_view rest = segment.text;
        for (size_t from = 0; segment.trusted;) {
            const TextMatcher::Match match = all_.find(rest, from);
            if (match.id < 0) {
                break;
            }
            from = match.begin + match.length;
            if (vocabulary_.is_special(match.id)) {
                pending += rest.substr(0, match.begin);
                encode_matching(literals_, pending, encoder, ids);
                pending.clear();
                ids.push_back(match.id);
                rest.remove_prefix(from);
                from = 0;
            }
        }
        pending += rest;
    }
    encode_matching(literals_, pending, encoder, ids);
    return ids;
}

size_t Tokenizer::count(std::string_view text, bool parse_special) const {
    return encode(text, parse_special).size();
}

Result<Tokenizer> tokenizer_from_gguf(const GgufFile& file) {
    return make_tokenizer(vocabulary_from_gguf(file));
}

Result<Tokenizer> tokenizer_from_directory(const std::string& path) {
    return make_tokenizer(vocabulary_from_directory(path));
}

}  // namespace gemlet
