// The directory of one GGUF file, read from bytes in memory. Internal to core/files; fuzz targets
// use it too.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/files/gguf.h"
#include "core/files/tensor_file.h"
#include "core/status.h"

namespace gemlet {

/// What one file says; views into its bytes.
struct GgufDirectory {
    std::vector<GgufValue> values;    // sorted by key
    std::vector<TensorView> tensors;  // sorted by name
};

/// Reads and checks everything in front of the tensor data, and that the data is there.
/// `path` is only the subject of errors about the file as a whole; `file_index` is handed on to the
/// tensors. Time and memory are proportional to what the file really holds.
/// Errors: `corrupt`, `unsupported`.
Result<GgufDirectory> parse_gguf(std::span<const uint8_t> file, std::string_view path,
                                 uint32_t file_index);

/// Returns the value of that key among values sorted by key, or nullptr.
const GgufValue* find_value(std::span<const GgufValue> sorted, std::string_view key);

/// Bytes of one value of a fixed-width type; for strings those of the length word; 0 for arrays.
size_t gguf_type_bytes(GgufType type);

}  // namespace gemlet
