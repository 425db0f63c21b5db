// An audio encoder opened and ready: frames of sound to soft tokens, all at once or as they come.
// One for an engine, next to its sessions.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "core/audio/audio_config.h"
#include "core/engine/engine.h"
#include "core/status.h"
#include "core/tower/tower_precision.h"

namespace gemlet {

struct AudioOptions {
    // Frames computed at once, which decides the memory: the longest sound for encode(), while
    // push() takes any number in pieces. 0: 30 seconds.
    size_t max_frames = 0;
    TowerPrecision precision = TowerPrecision::automatic;
};

/// One thread at a time; takes turns with the engine's sessions. Nothing is allocated after open.
class AudioEncoder {
  public:
    /// Opens the encoder of the engine's checkpoint, or that of an mmproj GGUF file when `mmproj`
    /// is not empty. The engine must outlive it. Errors: `not_found` when there is no encoder;
    /// otherwise any. `fault_file`, when given, receives the path of the file an error is about.
    static Result<std::unique_ptr<AudioEncoder>> open(Engine& engine, const std::string& mmproj,
                                                      const AudioOptions& options,
                                                      std::string* fault_file = nullptr);
    ~AudioEncoder();
    AudioEncoder(const AudioEncoder&) = delete;
    AudioEncoder& operator=(const AudioEncoder&) = delete;

    /// config().frame_width tells what a frame is, config().soft_tokens(n) what n of them give.
    const AudioConfig& config() const noexcept;
    size_t max_frames() const noexcept;

    /// Encodes a whole sound, frames [n_frames, frame_width], to `soft` [n, text width], and
    /// returns n. The embeddings go into the prompt as they are (PromptRow::soft). `encoded`
    /// [n, output_width], when not empty, receives the encoder's output before the projector.
    /// Forgets what push() was given. Errors: `bad_argument` for more frames than planned or none,
    /// values that are not finite, and spans that are too short; `cancelled` when `cancelled`,
    /// asked between layers, says so.
    Result<size_t> encode(std::span<const float> frames, size_t n_frames, std::span<float> soft,
                          std::span<float> encoded = {},
                          const std::function<bool()>& cancelled = {}) noexcept;

    /// Begins a new sound.
    void reset() noexcept;
    /// Takes the next frames of a sound, any number of them, and writes the soft tokens that have
    /// become final to `soft`; returns how many. With `last` the sound ends (n_frames may be 0) and
    /// the next call begins another. However the frames are cut, the tokens are those of encode(),
    /// bit for bit. Errors: as encode(); the frames are then not taken.
    Result<size_t> push(std::span<const float> frames, size_t n_frames, bool last,
                        std::span<float> soft) noexcept;
    /// Soft tokens that push() would return for n more frames.
    size_t pending_tokens(size_t n_frames, bool last) const noexcept;

    /// What it takes, for memory reports.
    MemoryReport memory() const;

  private:
    struct Parts;
    explicit AudioEncoder(std::unique_ptr<Parts> parts);
    static Result<std::unique_ptr<Parts>> prepare(const Checkpoint& checkpoint,
                                                  const std::string& mmproj,
                                                  const AudioOptions& options,
                                                  std::string* fault_file);
    friend Result<MemoryReport> plan_audio(const ModelPlan& model, const std::string& mmproj,
                                           const AudioOptions& options, std::string* fault_file);
    std::unique_ptr<Parts> parts_;
};

/// What the encoder of a model would take, without loading it. Errors: as AudioEncoder::open.
Result<MemoryReport> plan_audio(const ModelPlan& model, const std::string& mmproj,
                                const AudioOptions& options, std::string* fault_file = nullptr);

}  // namespace gemlet
