// The tensors of a checkpoint file, whatever its container (safetensors or GGUF): name, element
// type, shape and the bytes where they lie in the mapped file.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "quant/formats/weight_type.h"

namespace gemlet {

/// Element types that are no weights but occur in files.
enum class RawType : uint8_t { weight, i8, u8, i16, u16, i32, u32, i64, u64, f64, boolean };

/// One tensor of a mapped file. Shape slowest first (row-major, last index contiguous); n_dims 0 is
/// a scalar. `bytes` were checked to lie in the file and to have exactly the size of the shape.
struct TensorView {
    std::string name;
    RawType raw = RawType::weight;
    WeightType type = WeightType::f32;  // meaningful where raw == RawType::weight
    uint32_t file_index = 0;            // which shard; see Checkpoint files
    uint32_t n_dims = 0;
    std::array<size_t, 4> shape{};
    std::span<const uint8_t> bytes;

    /// Product of the dimensions (checked not to overflow when the file was opened).
    size_t n_elements() const;
};

}  // namespace gemlet
