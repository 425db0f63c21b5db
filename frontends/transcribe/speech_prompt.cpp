// The texts stand here alone, so that they can be corrected in one place. The blank line after the
// first line is in the model card's own example and in what the small model was trained with.
#include "frontends/transcribe/speech_prompt.h"

namespace gemlet {
namespace {

constexpr const char* kKnown =
    "Transcribe the following speech segment in {LANGUAGE} into {LANGUAGE} text.";
constexpr const char* kUnknown =
    "Transcribe the following speech segment in its original language.";
constexpr const char* kRules =
    "\n\n"
    "Follow these specific instructions for formatting the answer:\n"
    "* Only output the transcription, with no newlines.\n"
    "* When transcribing numbers, write the digits, i.e. write 1.7 and not one point seven, and "
    "write 3 instead of three.";
constexpr const char* kTranslate =
    "Transcribe the following speech segment in {LANGUAGE}, then translate it into {TARGET}.\n"
    "When formatting the answer, first output the transcription in {LANGUAGE}, then one newline, "
    "then output the string '{TARGET}: ', then the translation in {TARGET}.";

std::string filled(std::string text, std::string_view slot, const std::string& value) {
    for (size_t at = text.find(slot); at != std::string::npos;
         at = text.find(slot, at + value.size())) {
        text.replace(at, slot.size(), value);
    }
    return text;
}

std::string one_line(std::string_view text) {
    std::string line;
    for (const char c : text) {
        const bool blank = c == '\n' || c == '\r' || c == '\t' || c == ' ';
        if (blank && (line.empty() || line.back() == ' ')) continue;
        line += blank ? ' ' : c;
    }
    if (!line.empty() && line.back() == ' ') line.pop_back();
    return line;
}

}  // namespace

std::string speech_instruction(const SpeechTask& task) {
    std::string text;
    if (!task.target.empty()) {
        text = filled(filled(kTranslate, "{LANGUAGE}",
                             task.language.empty() ? "its original language" : task.language),
                      "{TARGET}", task.target);
    } else if (!task.language.empty()) {
        text = filled(kKnown, "{LANGUAGE}", task.language) + kRules;
    } else {
        text = std::string(kUnknown) + kRules;
    }
    if (!task.hints.empty()) text += "\n* These spellings may occur: " + one_line(task.hints);
    return text;
}

Json speech_messages(const SpeechTask& task) {
    Json sound = Json::object();
    sound.set("type", Json::of("audio"));
    Json text = Json::object();
    text.set("type", Json::of("text")).set("text", Json::of(speech_instruction(task)));
    Json parts = Json::array();
    parts.items.push_back(std::move(sound));
    parts.items.push_back(std::move(text));
    Json message = Json::object();
    message.set("role", Json::of("user")).set("content", std::move(parts));
    Json messages = Json::array();
    messages.items.push_back(std::move(message));
    return messages;
}

SpeechAnswer read_speech_answer(std::string_view answer, const SpeechTask& task) {
    if (task.target.empty()) return {one_line(answer), {}};
    const std::string mark = "\n" + task.target + ": ";
    const size_t at = answer.rfind(mark);
    if (at != std::string_view::npos) {
        return {one_line(answer.substr(0, at)), one_line(answer.substr(at + mark.size()))};
    }
    // The model may leave out the transcription, or the line end before the mark.
    const std::string_view label = std::string_view(mark).substr(1);
    if (answer.starts_with(label)) answer.remove_prefix(label.size());
    return {{}, one_line(answer)};
}

}  // namespace gemlet
