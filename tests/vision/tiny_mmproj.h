// A vision encoder of a few thousand weights as an mmproj file, sound or broken on purpose.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace gemlet::test {

/// A tensor of F32 values; dims fastest first.
struct TinyGgufTensor {
    std::vector<uint64_t> dims;
    std::vector<float> values;
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
};

/// Shapes of the made-up encoders: width 32, 2 heads, one layer, 12 positions.
constexpr size_t kTinyPositions = 12;
/// The transformer, with bounds on its linears.
TinyMmproj tiny_transformer(size_t text_width);
/// The encoder-free design.
TinyMmproj tiny_embedder(size_t text_width);

}  // namespace gemlet::test
