// The front of a GGUF file: metadata and tensor directory as bytes, places of the tensors' data.
// Source: GGUF specification; version 3, alignment 32.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/files/gguf.h"
#include "quant/formats/weight_type.h"

namespace gemlet {

/// Collects metadata, in the order of the calls.
class GgufMetadata {
  public:
    void add_u32(std::string_view key, uint32_t value);
    void add_i32(std::string_view key, int32_t value);
    void add_f32(std::string_view key, float value);
    void add_bool(std::string_view key, bool value);
    void add_string(std::string_view key, std::string_view value);
    void add_i32s(std::string_view key, std::span<const int32_t> values);
    void add_f32s(std::string_view key, std::span<const float> values);
    void add_bools(std::string_view key, const std::vector<bool>& values);
    void add_strings(std::string_view key, std::span<const std::string> values);
    /// A value of another file, as it lies there.
    void add_value(const GgufValue& value);

    size_t n_values() const { return n_values_; }
    std::span<const uint8_t> bytes() const { return bytes_; }

  private:
    void begin(std::string_view key, GgufType type);
    void begin_array(std::string_view key, GgufType element, uint64_t count);

    std::vector<uint8_t> bytes_;
    size_t n_values_ = 0;
};

/// One tensor of the directory. Shape slowest first, as everywhere in this program.
struct GgufTensor {
    std::string name;
    WeightType type = WeightType::f32;
    std::vector<size_t> shape;
    uint64_t offset = 0;   // in the file; set by write_gguf_front
    uint64_t n_bytes = 0;  // likewise
};

/// Lays out the tensors one after the other and returns all bytes in front of the first one's data.
/// `file_bytes` receives the size of the whole file.
std::vector<uint8_t> write_gguf_front(const GgufMetadata& metadata,
                                      std::vector<GgufTensor>& tensors, uint64_t& file_bytes);

}  // namespace gemlet
