// The engine reads the files first; what they say about text is read from the same mapping.
#include "frontends/text/chat_model.h"

#include <algorithm>
#include <utility>

#include "frontends/text/chat/repair.h"
#include "frontends/text/chat/specials.h"
#include "frontends/text/generate.h"
#include "frontends/text/text_files.h"

namespace gemlet {
namespace {

Result<TextFiles> text_files_of(const Checkpoint& checkpoint) {
    if (const GgufFile* file = checkpoint.gguf()) return TextFiles::of(*file, checkpoint.path());
    return TextFiles::open(checkpoint.path());
}

// A placeholder without its soft tokens would be taken for a token like any other.
bool has_media(const chat::Prompt& prompt) {
    return std::any_of(prompt.begin(), prompt.end(), [](const chat::PromptSegment& segment) {
        return segment.trusted && (segment.text == chat::kImage || segment.text == chat::kAudio ||
                                   segment.text == chat::kVideo);
    });
}

}  // namespace

Result<ChatModel> open_chat_model(const std::string& path, const EngineOptions& options,
                                  std::string& fault_file) {
    Result<std::unique_ptr<Engine>> engine = Engine::open(path, options, &fault_file);
    GEMLET_TRY(engine);
    fault_file = path;
    const Result<TextFiles> files = text_files_of((*engine)->checkpoint());
    GEMLET_TRY(files);
    Result<Tokenizer> tokenizer = files->tokenizer();
    GEMLET_TRY(tokenizer);
    const Result<chat::TemplateChoice> choice = files->chat_template();
    GEMLET_TRY(choice);
    const Result<SamplerOptions> sampling = files->sampling();
    GEMLET_TRY(sampling);
    if (tokenizer->vocabulary_size() > (*engine)->config().vocab_size) {
        return Status(StatusCode::corrupt, "more tokens than the model has embeddings for",
                      "tokenizer", static_cast<int64_t>(tokenizer->vocabulary_size()));
    }
    return ChatModel{std::move(*engine), std::move(*tokenizer), *choice, *sampling};
}

chat::MediaIds media_ids(const Tokenizer& tokenizer) {
    const Vocabulary& vocabulary = tokenizer.vocabulary();
    return {vocabulary.id_of(chat::kImage), vocabulary.id_of(chat::kAudio),
            vocabulary.id_of(chat::kVideo)};
}

Result<ChatPrompt> make_chat_prompt(const ChatModel& model, const Json& messages, const Json& tools,
                                    const chat::RenderOptions& options,
                                    std::span<const chat::Medium> media) {
    const Result<Json> repaired = chat::repair_messages(messages);
    GEMLET_TRY(repaired);
    Result<chat::Prompt> prompt =
        chat::render_prompt(model.chat_template.kind, *repaired,
                            tools.is_null() ? tools : chat::repair_tools(tools), options);
    GEMLET_TRY(prompt);
    if (media.empty() && has_media(*prompt)) {
        return Status(StatusCode::unsupported,
                      "messages have parts for pictures, sounds or videos, but none are given");
    }
    ChatPrompt made;
    made.start = parse_start_of(*prompt);
    if (!media.empty()) {
        prompt = chat::expand_media(*prompt, media);
        GEMLET_TRY(prompt);
    }
    made.ids = encode_prompt(model.tokenizer, *prompt);
    if (!media.empty()) {
        Result<std::vector<chat::MediaRun>> runs =
            chat::find_media_runs(made.ids, media, media_ids(model.tokenizer));
        GEMLET_TRY(runs);
        made.runs = std::move(*runs);
    }
    return made;
}

}  // namespace gemlet
