// Samples to frames, frames to soft tokens, soft tokens into the conversation of the chat format.
#include "frontends/transcribe/piece_encoder.h"

#include "frontends/audio/wave_frames.h"

namespace gemlet {

Result<PieceEncoder> PieceEncoder::open(const ChatModel& model, const SoundOptions& options,
                                        std::string& fault_file) {
    fault_file = model.engine->checkpoint().path();
    auto sounds = std::make_unique<SoundEncoder>(*model.engine, options);
    const Result<AudioEncoder*> encoder = sounds->encoder(fault_file);
    if (!encoder && encoder.error().code() == StatusCode::not_found && options.mmproj.empty()) {
        return Status(StatusCode::unsupported, "the model has no audio encoder: it takes no sound");
    }
    GEMLET_TRY(encoder);
    Result<audio::MelExtractor> mel = audio::MelExtractor::create();
    GEMLET_TRY(mel);
    return PieceEncoder(model, std::move(sounds), *encoder, std::move(*mel));
}

size_t PieceEncoder::make_frames(std::span<const float> samples) {
    const AudioConfig& config = encoder_->config();
    if (config.kind == AudioKind::embedder) {
        const size_t n = audio::wave_frames(samples.size());
        frames_.resize(n * config.frame_width);
        audio::cut_wave_frames(samples, frames_);
        return n;
    }
    mel_.reset();
    frames_.resize(mel_.frames_after(samples.size()) * config.frame_width);
    return mel_.push(samples, frames_);
}

Result<PiecePrompt> PieceEncoder::encode(std::span<const float> samples, const SpeechTask& task) {
    const size_t n_frames = make_frames(samples);
    const AudioConfig& config = encoder_->config();
    const size_t n_soft = config.soft_tokens(n_frames);
    PiecePrompt made;
    made.soft.resize(n_soft * config.text_width);
    const Result<size_t> n = encoder_->encode(
        std::span(frames_).first(n_frames * config.frame_width), n_frames, made.soft);
    GEMLET_TRY(n);
    const chat::Medium sound = {chat::MediaKind::audio, *n};
    chat::RenderOptions rendering;
    rendering.add_generation_prompt = true;
    const Result<ChatPrompt> prompt =
        make_chat_prompt(*model_, speech_messages(task), Json(), rendering, std::span(&sound, 1));
    GEMLET_TRY(prompt);
    made.start = prompt->start;
    made.rows.reserve(prompt->ids.size());
    for (const int32_t id : prompt->ids) made.rows.push_back({id, nullptr});
    for (const chat::MediaRun& run : prompt->runs) {
        for (size_t i = 0; i < run.count; ++i) {
            made.rows[run.begin + i].soft = made.soft.data() + i * config.text_width;
        }
    }
    return made;
}

}  // namespace gemlet
