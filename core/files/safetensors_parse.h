// The directory of one safetensors file and the index of a sharded checkpoint, read from bytes in
// memory. Internal to core/files; fuzz targets use it too.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/files/tensor_file.h"
#include "core/status.h"

namespace gemlet {

/// Reads and checks a file's header and that its tensors tile the rest of the file. The result is
/// sorted by name. `path` is only the subject of errors about the file as a whole; `file_index` is
/// handed on to the tensors. Errors: `corrupt`, `unsupported`.
Result<std::vector<TensorView>> parse_safetensors(std::span<const uint8_t> file,
                                                  std::string_view path, uint32_t file_index);

/// The index of a sharded checkpoint.
struct ShardIndex {
    std::vector<std::string> files;                         // distinct plain names, sorted
    std::vector<std::pair<std::string, uint32_t>> tensors;  // name and which of `files`
};

/// Reads `model.safetensors.index.json`. Errors: `corrupt`, `unsupported` (too large).
Result<ShardIndex> parse_shard_index(std::string_view json, std::string_view path);

}  // namespace gemlet
