// Where a tower's hyper-parameters and tensors lie: in the model's own checkpoint, or in an mmproj
// GGUF file.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include "core/files/gguf.h"
#include "core/json.h"
#include "core/model/checkpoint.h"
#include "core/status.h"

namespace gemlet {

/// Tensors and what is needed to read them.
struct TowerSource {
    std::span<const TensorView> tensors;  // sorted by name
    const Json* quantization = nullptr;   // config.json's, of a QAT mobile checkpoint
    bool is_gguf = false;
};

class TowerFiles {
  public:
    /// Opens `mmproj`, unless it is empty. The checkpoint must outlive the result.
    /// Errors: those of GgufFile::open.
    static Result<TowerFiles> open(const Checkpoint& checkpoint, const std::string& mmproj);

    /// The file with the metadata; null for a Hugging Face directory.
    const GgufFile* gguf() const { return mmproj_ ? &*mmproj_ : checkpoint_->gguf(); }
    TowerSource source() const;
    /// Bytes mapped by a file of its own.
    size_t mapped_bytes() const;
    /// The file that a tensor stands in, for messages; `where` if it is in a file of its own.
    std::string path_of(const TensorView& tensor, const std::string& where) const {
        return mmproj_ ? where : checkpoint_->path_of(tensor);
    }

  private:
    const Checkpoint* checkpoint_ = nullptr;
    std::optional<GgufFile> mmproj_;
};

}  // namespace gemlet
