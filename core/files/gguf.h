// GGUF v2 and v3 containers: metadata and tensor directory, checked once, tensors used where they
// lie. Source: shared format description in core/files/README.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/files/mapped_file.h"
#include "core/files/tensor_file.h"
#include "core/status.h"

namespace gemlet {

/// Metadata value types by their number in the file.
enum class GgufType : uint8_t {
    u8,
    i8,
    u16,
    i16,
    u32,
    i32,
    f32,
    boolean,
    string,
    array,
    u64,
    i64,
    f64
};

/// A metadata value where it lies in the mapped file; the bytes were checked.
struct GgufValue {
    std::string_view key;
    GgufType type = GgufType::u8;
    GgufType element = GgufType::u8;  // arrays only
    uint64_t count = 1;               // elements of an array
    std::span<const uint8_t> bytes;   // the payload; a string's without its length word

    /// Scalars; any integer type that fits, any float type (or integer) for doubles.
    std::optional<int64_t> as_integer() const;
    std::optional<double> as_number() const;
    std::optional<bool> as_bool() const;
    std::optional<std::string_view> as_string() const;
    /// Arrays of integers or bools / numbers; a scalar counts as an array of one.
    std::optional<std::vector<int64_t>> as_integers() const;
    std::optional<std::vector<double>> as_numbers() const;
    /// Arrays of strings: views into the mapping.
    std::optional<std::vector<std::string_view>> as_strings() const;
};

/// An opened GGUF model: one file, or all parts of a split one (given its first part's path).
class GgufFile {
  public:
    /// Errors: `corrupt`, `unsupported`, `not_found`, `io`; the subject is the key or tensor, or
    /// the path where the fault is the file's as a whole.
    static Result<GgufFile> open(const std::string& path);

    const GgufValue* find(std::string_view key) const;
    std::span<const GgufValue> values() const { return values_; }
    std::span<const TensorView> tensors() const { return tensors_; }
    /// Returns the tensor of that name or nullptr. O(log n).
    const TensorView* tensor(std::string_view name) const;
    std::span<const MappedFile> files() const { return files_; }

  private:
    Status add_parts(const std::string& path, int64_t n_parts);

    std::vector<MappedFile> files_;
    std::vector<GgufValue> values_;    // part 0's, sorted by key
    std::vector<TensorView> tensors_;  // of all parts, sorted by name
};

}  // namespace gemlet
