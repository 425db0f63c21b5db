// Builds GGUF files in memory, sound ones and ones with every field wrong on purpose.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gemlet {

/// Bytes of little-endian fields, appended one after the other.
class ByteWriter {
  public:
    template <class T>
    ByteWriter& put(T value) {
        std::string field(sizeof(T), '\0');
        std::memcpy(field.data(), &value, sizeof(T));
        bytes_ += field;
        return *this;
    }
    /// A 64-bit length and the text.
    ByteWriter& put_string(std::string_view text) {
        put<uint64_t>(text.size());
        return put_bytes(text);
    }
    ByteWriter& put_bytes(std::string_view text) {
        bytes_ += text;
        return *this;
    }
    const std::string& bytes() const { return bytes_; }

  private:
    std::string bytes_;
};

/// A tensor directory entry. The file is given n_data_bytes of data in all, whatever entries say.
struct GgufTensorEntry {
    std::string name;
    std::vector<uint64_t> dims;  // fastest first
    uint32_t type = 0;
    uint64_t offset = 0;
};

/// A GGUF file as a list of its parts; `bytes()` writes it.
struct GgufWriter {
    std::string magic = "GGUF";
    uint32_t version = 3;
    std::vector<std::string> values;  // made by gguf_scalar and its kin
    std::vector<GgufTensorEntry> tensors;
    uint64_t alignment = 32;
    size_t n_data_bytes = 0;
    uint64_t extra_tensors = 0;  // added to the counts in the header only
    uint64_t extra_values = 0;

    std::string bytes() const {
        ByteWriter out;
        out.put_bytes(magic).put(version);
        out.put<uint64_t>(tensors.size() + extra_tensors);
        out.put<uint64_t>(values.size() + extra_values);
        for (const std::string& value : values) out.put_bytes(value);
        for (const GgufTensorEntry& tensor : tensors) {
            out.put_string(tensor.name).put(static_cast<uint32_t>(tensor.dims.size()));
            for (const uint64_t dim : tensor.dims) out.put(dim);
            out.put(tensor.type).put(tensor.offset);
        }
        std::string file = out.bytes();
        if (n_data_bytes == 0) return file;
        while (file.size() % alignment != 0) file += '\0';
        for (size_t i = 0; i < n_data_bytes; ++i) file += static_cast<char>(i * 7 + 1);
        return file;
    }
};

/// Key, type number and payload of one metadata value.
inline std::string gguf_value(std::string_view key, uint32_t type, std::string_view payload) {
    return ByteWriter().put_string(key).put(type).put_bytes(payload).bytes();
}
template <class T>
std::string gguf_scalar(std::string_view key, uint32_t type, T value) {
    return gguf_value(key, type, ByteWriter().put(value).bytes());
}
inline std::string gguf_u32(std::string_view key, uint32_t value) {
    return gguf_scalar(key, 4, value);
}
inline std::string gguf_text(std::string_view key, std::string_view text) {
    return gguf_value(key, 8, ByteWriter().put_string(text).bytes());
}
inline std::string gguf_array(std::string_view key, uint32_t element, uint64_t count,
                              std::string_view payload) {
    return gguf_value(key, 9, ByteWriter().put(element).put(count).put_bytes(payload).bytes());
}
inline std::string gguf_texts(std::string_view key, const std::vector<std::string>& texts) {
    ByteWriter payload;
    for (const std::string& text : texts) payload.put_string(text);
    return gguf_array(key, 8, texts.size(), payload.bytes());
}

inline std::span<const uint8_t> as_bytes(const std::string& text) {
    return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

}  // namespace gemlet
