// A model opened for talking: engine, session, vocabulary, chat format and settings together.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/engine/session.h"
#include "core/json.h"
#include "frontends/cli/commands.h"
#include "frontends/cli/options.h"
#include "frontends/media/message_media.h"
#include "frontends/text/chat_model.h"
#include "frontends/text/generate.h"

namespace gemlet {

class Conversation {
  public:
    /// Opens the model with the options of `run` and `chat`; on a fault returns null and fills
    /// `failure`.
    static std::unique_ptr<Conversation> open(const Options& options, Failure& failure);

    using DeltaSink = std::function<void(const chat::ResponseDelta&)>;

    /// Answers the messages; media are parts made by media_part. Ctrl-C ends the answer (a second
    /// one, in `run`, the program). Errors: those of encode_media, make_chat_prompt and
    /// Generator::run.
    Result<Answer> answer(const Json& messages, bool think, const DeltaSink& on_delta);
    /// Continues a text in which special strings count; BOS is put before it where it is missing.
    Result<Answer> continue_text(std::string_view text, const DeltaSink& on_delta);

    /// Encodes a medium beforehand, and tells what it is. Errors: those of MediaEncoder.
    Result<SharedSoftTokens> encode(const MediaSource& source);

    /// Ends the running answer, from within `on_delta`.
    static void stop();

    uint64_t seed() const { return sampling_.seed; }

    /// The file that the last error was about; empty if it was about none.
    const std::string& fault_file() const { return fault_file_; }

  private:
    Conversation(const Options& options, ChatModel model);
    Result<Answer> generate(GenerateRequest request, const DeltaSink& on_delta);

    ChatModel model_;
    SamplerOptions sampling_;
    size_t max_tokens_;
    bool outlives_interrupts_;
    Json tools_;  // null: none
    std::unique_ptr<MediaEncoder> media_;
    std::string fault_file_;
    std::unique_ptr<Session> session_;
    std::unique_ptr<Generator> generator_;
};

}  // namespace gemlet
