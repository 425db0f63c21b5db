// A vision encoder of a few thousand weights as an mmproj file, sound or broken on purpose.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "quant/formats/weight_type.h"

namespace gemlet::test {

/// A tensor, given by its F32 values; dims fastest first.
struct TinyGgufTensor {
    std::vector<uint64_t> dims;
    std::vector<float> values;
    WeightType type = WeightType::f32;  // as it is written: f32, q4_0 or q8_0
};

/// Metadata by key (whole GGUF entries), tensors by name.
struct TinyMmproj {
    std::map<std::string, std::string> metadata;
    std::map<std::string, TinyGgufTensor> tensors;

    /// Sets a number.
    void set(const std::string& key, uint32_t value);
    void set_text(const std::string& key, const std::string& value);
    void add(const std::string& name, std::vector<uint64_t> dims);
    std::string bytes() const;
    /// The bytes of a model's GGUF file with the same metadata and tensors added.
    std::string bytes_beside(const std::string& model) const;
};

/// The file with the layers' matrices and the projector in a type of blocks, and the same file with
/// what those blocks stand for as F32.
struct QuantisedMmproj {
    TinyMmproj blocks;
    TinyMmproj floats;
};
QuantisedMmproj quantised(const TinyMmproj& file, WeightType type);
/// The file as the dialect has it that keeps everything in the model's file: other keys, and all
/// bounds in one vector.
TinyMmproj in_model_dialect(const TinyMmproj& file);

/// Shapes of the made-up encoders: width 32, 2 heads, one layer, 12 positions.
constexpr size_t kTinyPositions = 12;
/// The transformer, with bounds on its linears.
TinyMmproj tiny_transformer(size_t text_width);
/// The encoder-free design.
TinyMmproj tiny_embedder(size_t text_width);

}  // namespace gemlet::test
