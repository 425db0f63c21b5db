// What to say to the model together with a sound. The wording is the one the models were trained
// on; it stands in one table (speech_prompts.cpp) so that it can be corrected in one place.
#pragma once

#include <string>
#include <string_view>

namespace gemlet::chat {

/// The text after the sound when it is to be written down. `language` is an English name
/// ("German"); empty if unknown.
std::string transcription_prompt(std::string_view language);

/// The text after the sound when it is to be written down and translated. An empty source language
/// is unknown.
std::string translation_prompt(std::string_view source_language, std::string_view target_language);

/// The two parts of the answer to a translation prompt; point into the answer.
struct TranslationAnswer {
    std::string_view transcription;
    std::string_view translation;
};

/// Splits at the last line that begins with the target language and a colon. Without such a line
/// the whole answer is the translation.
TranslationAnswer split_translation(std::string_view answer, std::string_view target_language);

}  // namespace gemlet::chat
