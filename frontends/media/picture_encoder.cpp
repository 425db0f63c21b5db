// The encoder takes memory for the largest picture of its budget, so it is opened only when there
// is a picture to encode.
#include "frontends/media/picture_encoder.h"

#include <filesystem>
#include <utility>

#include "core/files/mapped_file.h"
#include "core/guard.h"
#include "frontends/image/preprocess.h"

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

Result<VisionEncoder*> PictureEncoder::encoder(std::string& fault_file) {
    if (encoder_ != nullptr) return encoder_.get();
    std::string mmproj = options_.mmproj;
    if (mmproj.empty()) {
        Result<std::string> found = find_mmproj(engine_->checkpoint().path());
        GEMLET_TRY(found);
        mmproj = std::move(*found);
    }
    VisionOptions options;
    options.max_soft_tokens = options_.budget;
    options.precision = options_.precision;
    std::string file;  // set also where there is no fault
    Result<std::unique_ptr<VisionEncoder>> opened =
        VisionEncoder::open(*engine_, mmproj, options, &file);
    if (!opened) {
        fault_file = file;
        return opened.error();
    }
    encoder_ = std::move(*opened);
    return encoder_.get();
}

Result<PatchGrid> PictureEncoder::patches_of(std::span<const uint8_t> bytes,
                                             std::string& fault_file) {
    const Result<VisionEncoder*> open = encoder(fault_file);
    GEMLET_TRY(open);
    return image::patches_of_file(bytes, options_.budget, (*open)->config().patch_side);
}

Result<PatchGrid> PictureEncoder::patches(const std::string& path, std::string& fault_file) {
    fault_file = path;
    const Result<MappedFile> file = MappedFile::open(path);
    GEMLET_TRY(file);
    return patches_of(file->bytes(), fault_file);
}

Result<const SoftTokens*> PictureEncoder::encode(const std::string& path, std::string& fault_file) {
    fault_file = path;
    const Result<MappedFile> file = MappedFile::open(path);
    GEMLET_TRY(file);
    const ContentHash hash = hash_content(file->bytes(), options_.budget);
    if (const auto known = known_.find(hash); known != known_.end()) return &known->second;
    const Result<PatchGrid> grid = patches_of(file->bytes(), fault_file);
    GEMLET_TRY(grid);
    SoftTokens soft;
    soft.values.resize(grid->n_soft_tokens * engine_->config().d_model);
    const Result<size_t> n = encoder_->encode(*grid, soft.values);
    GEMLET_TRY(n);
    soft.n = *n;
    soft.mark = hash.mark();
    return &known_.emplace(hash, std::move(soft)).first->second;
}

}  // namespace gemlet
