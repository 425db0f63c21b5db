// Metadata values as numbers, truth values and texts. Writers differ in the integer width they
// choose, so a reader asks for "an integer" and gets it from any of them.
#include <limits>

#include "core/files/byte_reader.h"
#include "core/files/gguf.h"
#include "core/files/gguf_parse.h"

namespace gemlet {
namespace {

// The element of that type at `at`. Truth values count as 0 and 1.
std::optional<int64_t> integer_at(GgufType type, const uint8_t* at) {
    switch (type) {
        case GgufType::u8:
        case GgufType::boolean:
            return *at;
        case GgufType::i8:
            return load_unaligned<int8_t>(at);
        case GgufType::u16:
            return load_unaligned<uint16_t>(at);
        case GgufType::i16:
            return load_unaligned<int16_t>(at);
        case GgufType::u32:
            return load_unaligned<uint32_t>(at);
        case GgufType::i32:
            return load_unaligned<int32_t>(at);
        case GgufType::i64:
            return load_unaligned<int64_t>(at);
        case GgufType::u64: {
            const auto value = load_unaligned<uint64_t>(at);
            if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return {};
            return static_cast<int64_t>(value);
        }
        case GgufType::f32:
        case GgufType::f64:
        case GgufType::string:
        case GgufType::array:
            break;
    }
    return {};
}

std::optional<double> number_at(GgufType type, const uint8_t* at) {
    if (type == GgufType::f32) return load_unaligned<float>(at);
    if (type == GgufType::f64) return load_unaligned<double>(at);
    if (type == GgufType::u64) return static_cast<double>(load_unaligned<uint64_t>(at));
    if (type == GgufType::boolean) return {};
    const std::optional<int64_t> integer = integer_at(type, at);
    if (!integer) return {};
    return static_cast<double>(*integer);
}

// All elements of an array, or the one of a scalar; nothing if any is of the wrong kind.
template <class T, class ReadAt>
std::optional<std::vector<T>> elements(const GgufValue& value, ReadAt read_at) {
    const GgufType type = value.type == GgufType::array ? value.element : value.type;
    if (type == GgufType::string) return {};
    std::vector<T> out;
    out.reserve(static_cast<size_t>(value.count));
    const size_t step = gguf_type_bytes(type);
    for (size_t i = 0; i < value.count; ++i) {
        const std::optional<T> element = read_at(type, value.bytes.data() + i * step);
        if (!element) return {};
        out.push_back(*element);
    }
    return out;
}

}  // namespace

std::optional<int64_t> GgufValue::as_integer() const {
    if (type == GgufType::boolean) return {};
    return integer_at(type, bytes.data());
}

std::optional<double> GgufValue::as_number() const { return number_at(type, bytes.data()); }

std::optional<bool> GgufValue::as_bool() const {
    if (type != GgufType::boolean) return {};
    return bytes[0] != 0;
}

std::optional<std::string_view> GgufValue::as_string() const {
    if (type != GgufType::string) return {};
    return as_text(bytes);
}

std::optional<std::vector<int64_t>> GgufValue::as_integers() const {
    return elements<int64_t>(*this, integer_at);
}

std::optional<std::vector<double>> GgufValue::as_numbers() const {
    return elements<double>(*this, number_at);
}

std::optional<std::vector<std::string_view>> GgufValue::as_strings() const {
    if (type != GgufType::array || element != GgufType::string) return {};
    std::vector<std::string_view> out;
    out.reserve(static_cast<size_t>(count));
    ByteReader in(bytes);
    std::span<const uint8_t> text;
    while (out.size() < count && in.read_string(text)) out.push_back(as_text(text));
    return out;
}

}  // namespace gemlet
