// Picture files to the soft tokens of an engine's model.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/engine/engine.h"
#include "core/status.h"
#include "core/vision/vision_encoder.h"
#include "frontends/media/content_hash.h"

namespace gemlet {

struct PictureOptions {
    std::string mmproj;  // GGUF file with the encoder; empty: the model's own, or the one beside it
    size_t budget = 280;  // soft tokens of a picture at most: 70, 140, 280, 560 or 1120
    TowerPrecision precision = TowerPrecision::automatic;
};

/// A picture as the prompt takes it.
struct SoftTokens {
    size_t n = 0;
    std::vector<float> values;  // [n, d_model]
    uint64_t mark = 0;          // of the content; never 0
};

/// The mmproj file of a GGUF model when none is named: the only file beside it whose name says so.
/// Empty for directories and where there is none. Errors: `bad_argument` when there are several.
Result<std::string> find_mmproj(const std::string& model);

/// One thread at a time; the engine must outlive it.
class PictureEncoder {
  public:
    PictureEncoder(Engine& engine, PictureOptions options)
        : engine_(&engine), options_(std::move(options)) {}

    /// Encodes a picture file, or finds what the same content gave before. The result lives as long
    /// as this. Errors: those of the readers of pictures and of VisionEncoder::open; `fault_file`
    /// receives the path of the file the error is about.
    Result<const SoftTokens*> encode(const std::string& path, std::string& fault_file);

    /// The patches that encode() would give to the encoder.
    Result<PatchGrid> patches(const std::string& path, std::string& fault_file);
    /// Opens the encoder unless it is open.
    Result<VisionEncoder*> encoder(std::string& fault_file);

  private:
    Result<PatchGrid> patches_of(std::span<const uint8_t> bytes, std::string& fault_file);

    Engine* engine_;
    PictureOptions options_;
    std::unique_ptr<VisionEncoder> encoder_;
    std::map<ContentHash, SoftTokens> known_;
};

}  // namespace gemlet
