// A tower never owns its tensors: they stay in the mapped files.
#include "core/tower/tower_files.h"

#include <utility>

namespace gemlet {

Result<TowerFiles> TowerFiles::open(const Checkpoint& checkpoint, const std::string& mmproj) {
    TowerFiles out;
    out.checkpoint_ = &checkpoint;
    if (mmproj.empty()) return out;
    Result<GgufFile> file = GgufFile::open(mmproj);
    GEMLET_TRY(file);
    out.mmproj_ = std::move(*file);
    return out;
}

TowerSource TowerFiles::source() const {
    TowerSource out;
    const GgufFile* file = gguf();
    out.tensors = file != nullptr ? file->tensors() : checkpoint_->tensors();
    out.is_gguf = file != nullptr;
    if (!out.is_gguf && checkpoint_->config().is_qat) {
        out.quantization = checkpoint_->config_json().find("quantization_config");
    }
    return out;
}

size_t TowerFiles::mapped_bytes() const {
    size_t bytes = 0;
    if (!mmproj_) return bytes;
    for (const MappedFile& part : mmproj_->files()) bytes += part.bytes().size();
    return bytes;
}

}  // namespace gemlet
