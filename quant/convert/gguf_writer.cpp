// Little-endian bytes appended to a vector.
#include "quant/convert/gguf_writer.h"

#include <cstring>
#include <numeric>
#include <ranges>

namespace gemlet {
namespace {

constexpr uint64_t kAlignment = 32;

template <class T>
void put(std::vector<uint8_t>& bytes, T value) {
    uint8_t raw[sizeof(T)];
    std::memcpy(raw, &value, sizeof(T));
    bytes.insert(bytes.end(), raw, raw + sizeof(T));
}

void put_string(std::vector<uint8_t>& bytes, std::string_view text) {
    put<uint64_t>(bytes, text.size());
    bytes.insert(bytes.end(), text.begin(), text.end());
}

uint64_t aligned(uint64_t n) { return (n + kAlignment - 1) / kAlignment * kAlignment; }

/// ggml's number of a type. Source: GGUF specification, section 6.
uint32_t type_number(WeightType type) {
    switch (type) {
        case WeightType::f16:
            return 1;
        case WeightType::bf16:
            return 30;
        case WeightType::q4_0:
            return 2;
        case WeightType::q4_1:
            return 3;
        case WeightType::q5_0:
            return 6;
        case WeightType::q5_1:
            return 7;
        case WeightType::q8_0:
            return 8;
        case WeightType::q2_k:
            return 10;
        case WeightType::q3_k:
            return 11;
        case WeightType::q4_k:
            return 12;
        case WeightType::q5_k:
            return 13;
        case WeightType::q6_k:
            return 14;
        case WeightType::iq4_nl:
            return 20;
        case WeightType::iq4_xs:
            return 23;
        default:
            return 0;  // f32: nothing else is written
    }
}

}  // namespace

void GgufMetadata::begin(std::string_view key, GgufType type) {
    put_string(bytes_, key);
    put<uint32_t>(bytes_, static_cast<uint32_t>(type));
    ++n_values_;
}

void GgufMetadata::begin_array(std::string_view key, GgufType element, uint64_t count) {
    begin(key, GgufType::array);
    put<uint32_t>(bytes_, static_cast<uint32_t>(element));
    put<uint64_t>(bytes_, count);
}

void GgufMetadata::add_u32(std::string_view key, uint32_t value) {
    begin(key, GgufType::u32);
    put(bytes_, value);
}

void GgufMetadata::add_i32(std::string_view key, int32_t value) {
    begin(key, GgufType::i32);
    put(bytes_, value);
}

void GgufMetadata::add_f32(std::string_view key, float value) {
    begin(key, GgufType::f32);
    put(bytes_, value);
}

void GgufMetadata::add_bool(std::string_view key, bool value) {
    begin(key, GgufType::boolean);
    put<uint8_t>(bytes_, value ? 1 : 0);
}

void GgufMetadata::add_string(std::string_view key, std::string_view value) {
    begin(key, GgufType::string);
    put_string(bytes_, value);
}

void GgufMetadata::add_i32s(std::string_view key, std::span<const int32_t> values) {
    begin_array(key, GgufType::i32, values.size());
    for (const int32_t value : values) put(bytes_, value);
}

void GgufMetadata::add_f32s(std::string_view key, std::span<const float> values) {
    begin_array(key, GgufType::f32, values.size());
    for (const float value : values) put(bytes_, value);
}

void GgufMetadata::add_bools(std::string_view key, const std::vector<bool>& values) {
    begin_array(key, GgufType::boolean, values.size());
    for (const bool value : values) put<uint8_t>(bytes_, value ? 1 : 0);
}

void GgufMetadata::add_strings(std::string_view key, std::span<const std::string> values) {
    begin_array(key, GgufType::string, values.size());
    for (const std::string& value : values) put_string(bytes_, value);
}

void GgufMetadata::add_value(const GgufValue& value) {
    if (value.type == GgufType::array) {
        begin_array(value.key, value.element, value.count);
    } else {
        begin(value.key, value.type);
        if (value.type == GgufType::string) put<uint64_t>(bytes_, value.bytes.size());
    }
    bytes_.insert(bytes_.end(), value.bytes.begin(), value.bytes.end());
}

std::vector<uint8_t> write_gguf_front(const GgufMetadata& metadata,
                                      std::vector<GgufTensor>& tensors, uint64_t& file_bytes) {
    std::vector<uint8_t> out = {'G', 'G', 'U', 'F'};
    put<uint32_t>(out, 3);
    put<uint64_t>(out, tensors.size());
    put<uint64_t>(out, metadata.n_values());
    out.insert(out.end(), metadata.bytes().begin(), metadata.bytes().end());
    uint64_t at = 0;
    for (GgufTensor& tensor : tensors) {
        const size_t n_rows = std::accumulate(tensor.shape.begin(), tensor.shape.end() - 1,
                                              size_t{1}, std::multiplies<>());
        tensor.n_bytes = n_rows * row_bytes(tensor.type, tensor.shape.back());
        put_string(out, tensor.name);
        put<uint32_t>(out, static_cast<uint32_t>(tensor.shape.size()));
        for (const size_t size : tensor.shape | std::views::reverse) put<uint64_t>(out, size);
        put<uint32_t>(out, type_number(tensor.type));
        put<uint64_t>(out, at);
        tensor.offset = at;
        at += aligned(tensor.n_bytes);
    }
    out.resize(aligned(out.size()));
    for (GgufTensor& tensor : tensors) tensor.offset += out.size();
    file_bytes = out.size() + at;
    return out;
}

}  // namespace gemlet
