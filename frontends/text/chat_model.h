// A model opened for talking: engine, vocabulary, chat format and sampling settings together, and
// the way from messages to its token ids. For doors that are no command line.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/engine/engine.h"
#include "core/engine/sampler.h"
#include "core/json.h"
#include "core/status.h"
#include "frontends/text/chat/media.h"
#include "frontends/text/chat/parser.h"
#include "frontends/text/chat/renderer.h"
#include "frontends/text/chat/template_kind.h"
#include "frontends/text/tokenizer/tokenizer.h"

namespace gemlet {

/// Does not change after open_chat_model; shared by sessions.
struct ChatModel {
    std::unique_ptr<Engine> engine;
    Tokenizer tokenizer;
    chat::TemplateChoice chat_template;
    SamplerOptions sampling;  // the model's own
};

/// Opens a Hugging Face directory or a GGUF file.
/// Errors: any; `fault_file` receives the path of the file the error is about, or nothing.
Result<ChatModel> open_chat_model(const std::string& path, const EngineOptions& options,
                                  std::string& fault_file);

/// A prompt ready for a Generator.
struct ChatPrompt {
    std::vector<int32_t> ids;
    chat::ParseStart start = chat::ParseStart::content;
    std::vector<chat::MediaRun> runs;  // where the rows of `media` go, in order
};

/// Repairs and renders messages and encodes them. `tools` is an array or null; `media` are the
/// pictures, sounds and videos that the messages have parts for, in order.
/// Errors: those of repair_messages, render_prompt and expand_media; `unsupported` for messages
/// with media when none are given.
Result<ChatPrompt> make_chat_prompt(const ChatModel& model, const Json& messages, const Json& tools,
                                    const chat::RenderOptions& options,
                                    std::span<const chat::Medium> media = {});

/// The ids that stand for soft tokens in this model's vocabulary; -1 where it has none.
chat::MediaIds media_ids(const Tokenizer& tokenizer);

}  // namespace gemlet
