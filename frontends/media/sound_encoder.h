// Sounds to the soft tokens of an engine's model.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/audio/audio_encoder.h"
#include "core/engine/engine.h"
#include "core/status.h"
#include "frontends/media/soft_tokens.h"

namespace gemlet {

struct SoundOptions {
    std::string mmproj;  // GGUF file with the encoder; empty: the model's own, or the one beside it
    TowerPrecision precision = TowerPrecision::automatic;
};

/// A sound as the encoder takes it.
struct SoundFrames {
    std::vector<float> values;  // [n, width]
    size_t n = 0;
    size_t width = 0;  // mel bins, or samples
};

/// One thread at a time; the engine must outlive it. `fault_file` receives the path of the file an
/// error is about, where it is not the sound's.
class SoundEncoder {
  public:
    SoundEncoder(Engine& engine, SoundOptions options)
        : engine_(&engine), options_(std::move(options)) {}

    /// Encodes a sound file's bytes; the mark is left to the caller.
    /// Errors: those of frames(), AudioEncoder::open and ::encode.
    Result<SoftTokens> encode(std::span<const uint8_t> bytes, std::string& fault_file,
                              const std::function<bool()>& cancelled = {});

    /// The frames that encode() would give to the encoder. Errors: those of audio::SoundReader;
    /// `bad_argument` for sounds of more than 30 seconds and for those too short for a soft token.
    Result<SoundFrames> frames(std::span<const uint8_t> bytes, std::string& fault_file);
    /// Opens the encoder unless it is open. Errors: also those of check_sound_features.
    Result<AudioEncoder*> encoder(std::string& fault_file);

    const SoundOptions& options() const { return options_; }
    /// What the encoder takes; 0 until it is open.
    uint64_t resident_bytes() const;

  private:
    Engine* engine_;
    SoundOptions options_;
    std::unique_ptr<AudioEncoder> encoder_;
};

}  // namespace gemlet
