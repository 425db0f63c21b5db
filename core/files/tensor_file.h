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
#include <vector>

#include "core/status.h"
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

/// Most elements a tensor may have, so that sizes fit signed arithmetic as well.
constexpr uint64_t kMaxElements = PTRDIFF_MAX;

/// Bytes of one element of a type that is no weight.
size_t raw_type_bytes(RawType type);

/// Sorts by name. Errors: `corrupt` when two tensors have the same one.
Status sort_by_name(std::vector<TensorView>& tensors);

/// Returns the tensor of that name among tensors sorted by name, or nullptr. O(log n).
const TensorView* find_tensor(std::span<const TensorView> sorted, std::string_view name);

}  // namespace gemlet
