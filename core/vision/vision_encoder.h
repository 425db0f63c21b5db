// A vision encoder opened and ready: pictures to soft tokens. One for an engine, next to its
// sessions.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "core/engine/engine.h"
#include "core/status.h"
#include "core/tower/tower_precision.h"
#include "core/vision/patches.h"
#include "core/vision/vision_config.h"

namespace gemlet {

struct VisionOptions {
    size_t max_soft_tokens = 280;  // largest picture; decides the memory, at most kMaxSoftTokens
    TowerPrecision precision = TowerPrecision::automatic;
};

/// What an encoder would be, for looking at.
struct VisionPlan {
    VisionConfig config;
    MemoryReport memory;
};

/// One thread at a time; takes turns with the engine's sessions. Nothing is allocated after open.
class VisionEncoder {
  public:
    /// Opens the encoder of the engine's checkpoint, or that of an mmproj GGUF file when `mmproj`
    /// is not empty. The engine must outlive it. Errors: `not_found` when there is no encoder;
    /// otherwise any. `fault_file`, when given, receives the path of the file an error is about.
    static Result<std::unique_ptr<VisionEncoder>> open(Engine& engine, const std::string& mmproj,
                                                       const VisionOptions& options,
                                                       std::string* fault_file = nullptr);
    ~VisionEncoder();
    VisionEncoder(const VisionEncoder&) = delete;
    VisionEncoder& operator=(const VisionEncoder&) = delete;

    const VisionConfig& config() const noexcept;
    size_t max_soft_tokens() const noexcept;
    /// Encodes a picture to `soft` [n, text width] and returns n. The embeddings go into the prompt
    /// as they are (PromptRow::soft). `encoded` [n, width], when not empty, receives the encoder's
    /// output before the projector. Errors: `bad_argument` for a picture that is larger than
    /// planned or does not fit the encoder, and for a span that is too short; `cancelled` when
    /// `cancelled`, asked between layers, says so.
    Result<size_t> encode(const PatchGrid& picture, std::span<float> soft,
                          std::span<float> encoded = {},
                          const std::function<bool()>& cancelled = {}) noexcept;
    /// What it takes, for memory reports.
    MemoryReport memory() const;

  private:
    struct Parts;
    explicit VisionEncoder(std::unique_ptr<Parts> parts);
    static Result<std::unique_ptr<Parts>> prepare(const Checkpoint& checkpoint,
                                                  const std::string& mmproj,
                                                  const VisionOptions& options,
                                                  std::string* fault_file);
    friend Result<VisionPlan> plan_vision(const ModelPlan& model, const std::string& mmproj,
                                          const VisionOptions& options, std::string* fault_file);
    std::unique_ptr<Parts> parts_;
};

/// Describes the encoder of a model without loading it. Errors: as VisionEncoder::open, except that
/// an exceeded memory limit is no error.
Result<VisionPlan> plan_vision(const ModelPlan& model, const std::string& mmproj,
                               const VisionOptions& options, std::string* fault_file = nullptr);

}  // namespace gemlet
