// A piece of sound to the rows of a prompt.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/audio/audio_encoder.h"
#include "core/engine/session.h"
#include "core/status.h"
#include "frontends/audio/mel.h"
#include "frontends/media/sound_encoder.h"
#include "frontends/text/chat_model.h"
#include "frontends/transcribe/speech_prompt.h"

namespace gemlet {

/// The prompt of a piece. Soft tokens are owned; rows point to them.
struct PiecePrompt {
    std::vector<PromptRow> rows;
    std::vector<float> soft;  // [n, d_model]
    chat::ParseStart start = chat::ParseStart::content;
};

/// One thread at a time; the model must outlive it.
class PieceEncoder {
  public:
    /// Errors: `unsupported` when the model takes no sound; those of SoundEncoder::encoder.
    /// `fault_file` receives the path of the file an error is about.
    static Result<PieceEncoder> open(const ChatModel& model, const SoundOptions& options,
                                     std::string& fault_file);

    /// Samples of 16 kHz, at most 30 s, at least 161. Errors: those of AudioEncoder::encode and
    /// make_chat_prompt.
    Result<PiecePrompt> encode(std::span<const float> samples, const SpeechTask& task);

  private:
    PieceEncoder(const ChatModel& model, std::unique_ptr<SoundEncoder> sounds,
                 AudioEncoder* encoder, audio::MelExtractor mel)
        : model_(&model), sounds_(std::move(sounds)), encoder_(encoder), mel_(std::move(mel)) {}

    size_t make_frames(std::span<const float> samples);

    const ChatModel* model_;
    std::unique_ptr<SoundEncoder> sounds_;
    AudioEncoder* encoder_;  // of sounds_
    audio::MelExtractor mel_;
    std::vector<float> frames_;
};

}  // namespace gemlet
