// Pictures and videos to the soft tokens of an engine's model.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "core/engine/engine.h"
#include "core/status.h"
#include "core/vision/vision_encoder.h"
#include "frontends/image/picture.h"
#include "frontends/media/soft_tokens.h"

namespace gemlet {

struct PictureOptions {
    std::string mmproj;  // GGUF file with the encoder; empty: the model's own, or the one beside it
    size_t budget = 280;       // soft tokens of a picture at most: 70, 140, 280, 560 or 1120
    size_t frame_budget = 70;  // the same for a frame of a video
    size_t max_budget = 0;     // largest that encode() is asked for; 0: these
    TowerPrecision precision = TowerPrecision::automatic;
    image::PictureLimits limits = {};  // of a picture, and of a frame
};

/// The mmproj file of a GGUF model when none is named: the only file beside it whose name says so.
/// Empty for directories and where there is none. Errors: `bad_argument` when there are several.
Result<std::string> find_mmproj(const std::string& model);

/// What VisionEncoder::open takes, for these options.
VisionOptions vision_options(const PictureOptions& options);

/// One thread at a time; the engine must outlive it. `fault_file` receives the path of the file an
/// error is about, where it is not the picture's.
class PictureEncoder {
  public:
    PictureEncoder(Engine& engine, PictureOptions options)
        : engine_(&engine), options_(std::move(options)) {}

    /// Encodes a picture; its mark is left to the caller. `budget` 0 is that of the options.
    /// Errors: those of the readers of pictures, of VisionEncoder::open and ::encode.
    Result<SoftTokens> encode(std::span<const uint8_t> bytes, std::string& fault_file,
                              size_t budget = 0, const std::function<bool()>& cancelled = {});
    /// The same for the frames of a video file, one a second, at most 60.
    /// Errors: also those of image::read_video_frames.
    Result<SoftTokens> encode_video(const std::string& path, std::string& fault_file);

    /// The patches that encode() would give to the encoder.
    Result<PatchGrid> patches(std::span<const uint8_t> bytes, std::string& fault_file,
                              size_t budget = 0);
    /// Opens the encoder unless it is open.
    Result<VisionEncoder*> encoder(std::string& fault_file);

    const PictureOptions& options() const { return options_; }
    /// What the encoder takes; 0 until it is open.
    uint64_t resident_bytes() const;

  private:
    Engine* engine_;
    PictureOptions options_;
    std::unique_ptr<VisionEncoder> encoder_;
};

}  // namespace gemlet
