// What the model is asked to do with a piece of speech, and how its answer is read.
#pragma once

#include <string>
#include <string_view>

#include "core/json.h"

namespace gemlet {

/// Names of languages are those of language_name.
struct SpeechTask {
    std::string language;  // spoken; empty: the model finds out
    std::string target;    // to translate into; empty: transcribe only
    std::string hints;     // spellings to expect; put after the instruction
};

/// The instruction that follows the sound. Source: the model card, as chat.md section 14 keeps it.
std::string speech_instruction(const SpeechTask& task);

/// The conversation of one piece: a user's turn with a sound and the instruction.
Json speech_messages(const SpeechTask& task);

struct SpeechAnswer {
    std::string text;
    std::string translation;
};

/// Splits an answer at the last line that begins with the target language; an answer without such
/// a line is a translation as a whole. White space at the ends goes, line ends become blanks.
SpeechAnswer read_speech_answer(std::string_view answer, const SpeechTask& task);

}  // namespace gemlet
