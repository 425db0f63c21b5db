// Speech prompts; see the header. `{S}` and `{T}` in the table stand for the two languages.
#include "frontends/text/chat/speech_prompts.h"

namespace gemlet::chat {
namespace {

constexpr std::string_view kTranscribeKnown =
    "Transcribe the following speech segment in {S} into {S} text.\n";
constexpr std::string_view kTranscribeUnknown =
    "Transcribe the following speech segment in its original language.\n";
constexpr std::string_view kTranscribeRules =
    "Follow these specific instructions for formatting the answer:\n"
    "* Only output the transcription, with no newlines.\n"
    "* When transcribing numbers, write the digits, i.e. write 1.7 and not one point seven, and "
    "write 3 instead of three.";
constexpr std::string_view kTranslate =
    "Transcribe the following speech segment in {S}, then translate it into {T}.\n"
    "When formatting the answer, first output the transcription in {S}, then one newline, then "
    "output the string '{T}: ', then the translation in {T}.";
constexpr std::string_view kUnknownLanguage = "its original language";

std::string fill(std::string_view text, std::string_view source, std::string_view target) {
    std::string out;
    while (!text.empty()) {
        const std::string_view head = text.substr(0, 3);
        if (head == "{S}" || head == "{T}") {
            out += head == "{S}" ? source : target;
            text.remove_prefix(3);
        } else {
            out += text.front();
            text.remove_prefix(1);
        }
    }
    return out;
}

}  // namespace

std::string transcription_prompt(std::string_view language) {
    const std::string_view first = language.empty() ? kTranscribeUnknown : kTranscribeKnown;
    return fill(first, language, {}) + std::string(kTranscribeRules);
}

std::string translation_prompt(std::string_view source_language, std::string_view target_language) {
    const std::string_view source = source_language.empty() ? kUnknownLanguage : source_language;
    return fill(kTranslate, source, target_language);
}

TranslationAnswer split_translation(std::string_view answer, std::string_view target_language) {
    std::string mark = "\n";
    mark += target_language;
    mark += ": ";
    const size_t at = answer.rfind(mark);
    if (at == std::string_view::npos) return {{}, answer};
    return {answer.substr(0, at), answer.substr(at + mark.size())};
}

}  // namespace gemlet::chat
