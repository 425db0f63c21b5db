// The encoder takes memory for the largest picture of its budget, so it is opened only when there
// is a picture to encode.
#include "frontends/media/picture_encoder.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "frontends/image/preprocess.h"
#include "frontends/image/video.h"

namespace gemlet {

Result<std::string> find_mmproj(const std::string& model) {
    namespace fs = std::filesystem;
    std::error_code ignored;
    if (fs::is_directory(model, ignored)) return std::string();
    fs::path folder = fs::path(model).parent_path();
    if (folder.empty()) folder = ".";
    std::string found;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
        const std::string name = entry.path().filename().string();
        if (!name.ends_with(".gguf") || name.find("mmproj") == std::string::npos) continue;
        if (!found.empty()) {
            return Status(StatusCode::bad_argument,
                          "several mmproj files: choose one with --mmproj", folder.string());
        }
        found = entry.path().string();
    }
    return found;
}

VisionOptions vision_options(const PictureOptions& options) {
    VisionOptions vision;
    vision.max_soft_tokens = std::max({options.budget, options.frame_budget, options.max_budget});
    vision.precision = options.precision;
    return vision;
}

Result<VisionEncoder*> PictureEncoder::encoder(std::string& fault_file) {
    if (encoder_ != nullptr) return encoder_.get();
    std::string mmproj = options_.mmproj;
    if (mmproj.empty()) {
        Result<std::string> found = find_mmproj(engine_->checkpoint().path());
        GEMLET_TRY(found);
        mmproj = std::move(*found);
    }
    std::string file;  // set also where there is no fault
    Result<std::unique_ptr<VisionEncoder>> opened =
        VisionEncoder::open(*engine_, mmproj, vision_options(options_), &file);
    if (!opened) {
        fault_file = file;
        return opened.error();
    }
    encoder_ = std::move(*opened);
    return encoder_.get();
}

uint64_t PictureEncoder::resident_bytes() const {
    return encoder_ != nullptr ? encoder_->memory().resident_bytes : 0;
}

Result<PatchGrid> PictureEncoder::patches(std::span<const uint8_t> bytes, std::string& fault_file,
                                          size_t budget) {
    const Result<VisionEncoder*> open = encoder(fault_file);
    GEMLET_TRY(open);
    return image::patches_of_file(bytes, budget != 0 ? budget : options_.budget,
                                  (*open)->config().patch_side, options_.limits);
}

Result<SoftTokens> PictureEncoder::encode(std::span<const uint8_t> bytes, std::string& fault_file,
                                          size_t budget, const std::function<bool()>& cancelled) {
    const Result<PatchGrid> grid = patches(bytes, fault_file, budget);
    GEMLET_TRY(grid);
    SoftTokens soft;
    soft.values.resize(grid->n_soft_tokens * engine_->config().d_model);
    const Result<size_t> n = encoder_->encode(*grid, soft.values, {}, cancelled);
    GEMLET_TRY(n);
    soft.n = *n;
    return soft;
}

Result<SoftTokens> PictureEncoder::encode_video(const std::string& path, std::string& fault_file) {
    const Result<VisionEncoder*> open = encoder(fault_file);
    GEMLET_TRY(open);
    SoftTokens soft;
    const auto take = [&](const image::VideoFrame& frame) -> Status {
        const Result<PatchGrid> grid =
            image::patches_of(frame.picture, options_.frame_budget, (*open)->config().patch_side);
        GEMLET_TRY(grid);
        const size_t n_values = grid->n_soft_tokens * engine_->config().d_model;
        soft.values.resize(soft.values.size() + n_values);
        const Result<size_t> n = (*open)->encode(*grid, std::span(soft.values).last(n_values));
        GEMLET_TRY(n);
        soft.n = *n;  // of all the same: frames of a video have one size
        soft.frame_seconds.push_back(frame.seconds);
        return {};
    };
    GEMLET_TRY(image::read_video_frames(path, {.limits = options_.limits}, take));
    if (soft.n == 0) return Status(StatusCode::corrupt, "the video has no frames");
    return soft;
}

}  // namespace gemlet
