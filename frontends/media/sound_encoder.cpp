// The encoder takes memory for 30 seconds, so it is opened only when there is a sound to encode.
// More than that is refused, never cut: models are trained on 30 seconds, and silent truncation
// would look like an answer.
#include "frontends/media/sound_encoder.h"

#include "core/guard.h"
#include "frontends/audio/mel.h"
#include "frontends/audio/sound_reader.h"
#include "frontends/audio/wave_frames.h"
#include "frontends/media/picture_encoder.h"
#include "frontends/media/sound_features.h"

namespace gemlet {
namespace {

/// Up to one sample more than a clip may have.
Result<std::vector<float>> read_clip(std::span<const uint8_t> bytes) {
    Result<std::unique_ptr<audio::SoundReader>> reader = audio::SoundReader::from_memory(bytes);
    GEMLET_TRY(reader);
    std::vector<float> samples(kMaxSamples + 1);
    size_t n = 0;
    while (n < samples.size()) {
        const Result<size_t> more = (*reader)->read(std::span(samples).subspan(n));
        GEMLET_TRY(more);
        if (*more == 0) break;
        n += *more;
    }
    samples.resize(n);
    return samples;
}

}  // namespace

Result<AudioEncoder*> SoundEncoder::encoder(std::string& fault_file) {
    if (encoder_ != nullptr) return encoder_.get();
    const std::string& model = engine_->checkpoint().path();
    std::string mmproj = options_.mmproj;
    if (mmproj.empty()) {
        Result<std::string> found = find_mmproj(model);
        GEMLET_TRY(found);
        mmproj = std::move(*found);
    }
    AudioOptions options;
    options.precision = options_.precision;
    std::string file;  // set also where there is no fault
    Result<std::unique_ptr<AudioEncoder>> opened =
        AudioEncoder::open(*engine_, mmproj, options, &file);
    if (!opened) {
        fault_file = file;
        return opened.error();
    }
    if (const Status status = check_sound_features(model, (*opened)->config().kind, file);
        !status.ok()) {
        fault_file = file;
        return status;
    }
    encoder_ = std::move(*opened);
    return encoder_.get();
}

uint64_t SoundEncoder::resident_bytes() const {
    return encoder_ != nullptr ? encoder_->memory().resident_bytes : 0;
}

Result<SoundFrames> SoundEncoder::frames(std::span<const uint8_t> bytes, std::string& fault_file) {
    const Result<AudioEncoder*> open = encoder(fault_file);
    GEMLET_TRY(open);
    const AudioConfig& config = (*open)->config();
    return guard([&]() -> Result<SoundFrames> {
        const Result<std::vector<float>> samples = read_clip(bytes);
        GEMLET_TRY(samples);
        if (samples->size() > kMaxSamples) {
            return Status(
                StatusCode::bad_argument,
                "longer than 30 seconds; gemlet transcribe and /v1/audio/transcriptions take "
                "any length");
        }
        const bool is_wave = config.kind == AudioKind::embedder;
        const size_t least = is_wave ? 1 : kLeastSamples;
        if (samples->size() < least) {
            return Status(StatusCode::bad_argument,
                          "too short: needs 161 samples at 16 kHz (10 ms), has", {},
                          static_cast<int64_t>(samples->size()));
        }
        SoundFrames out;
        out.width = config.frame_width;
        if (is_wave) {
            out.n = audio::wave_frames(samples->size());
            out.values.resize(out.n * out.width);
            audio::cut_wave_frames(*samples, out.values);
            return out;
        }
        Result<std::vector<float>> mel = audio::log_mel(*samples);
        GEMLET_TRY(mel);
        out.values = std::move(*mel);
        out.n = out.values.size() / out.width;
        return out;
    });
}

Result<SoftTokens> SoundEncoder::encode(std::span<const uint8_t> bytes, std::string& fault_file,
                                        const std::function<bool()>& cancelled) {
    const Result<SoundFrames> sound = frames(bytes, fault_file);
    GEMLET_TRY(sound);
    SoftTokens soft;
    const AudioConfig& config = encoder_->config();
    soft.values.resize(config.soft_tokens(sound->n) * config.text_width);
    const Result<size_t> n = encoder_->encode(sound->values, sound->n, soft.values, {}, cancelled);
    GEMLET_TRY(n);
    soft.n = *n;
    return soft;
}

}  // namespace gemlet
