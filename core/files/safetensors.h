// Safetensors files of a Hugging Face directory, single or sharded: directory checked once, tensors
// used where they lie.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/files/mapped_file.h"
#include "core/files/tensor_file.h"
#include "core/status.h"

namespace gemlet {

/// All tensors of `DIR/model.safetensors`, or of the shards that
/// `DIR/model.safetensors.index.json` names.
class SafetensorsFiles {
  public:
    /// Errors: as GgufFile::open.
    static Result<SafetensorsFiles> open_directory(const std::string& directory);
    /// One file by its own path.
    static Result<SafetensorsFiles> open_file(const std::string& path);

    std::span<const TensorView> tensors() const { return tensors_; }
    /// Returns the tensor of that name or nullptr. O(log n).
    const TensorView* tensor(std::string_view name) const;
    std::span<const MappedFile> files() const { return files_; }

  private:
    Status add_file(const std::string& path);
    Status add_shards(const std::string& directory, const MappedFile& index);

    std::vector<MappedFile> files_;
    std::vector<TensorView> tensors_;  // sorted by name
};

}  // namespace gemlet
