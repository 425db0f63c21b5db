// The header of a safetensors file, and the places of its tensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace gemlet {

/// One tensor. Shape slowest first; empty for a scalar.
struct SafetensorsTensor {
    std::string name;
    std::string dtype;  // "F32", "BF16", "U8", ..
    std::vector<size_t> shape;
    uint64_t n_bytes = 0;
    uint64_t offset = 0;  // in the file; set by write_safetensors_front
};

/// Lays the tensors out one after the other and returns all bytes in front of the first one's data.
/// `file_bytes` receives the size of the whole file.
std::vector<uint8_t> write_safetensors_front(std::vector<SafetensorsTensor>& tensors,
                                             uint64_t& file_bytes);

}  // namespace gemlet
