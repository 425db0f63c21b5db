// Reads little-endian fields one after the other from bytes of unknown origin: every read says
// whether the bytes were there, and a failed read changes nothing.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

namespace gemlet {

static_assert(std::endian::native == std::endian::little,
              "weights are used where they lie in the file, which is little-endian");

/// Returns the value whose bytes start at `at`, at any alignment.
template <class T>
T load_unaligned(const uint8_t* at) {
    static_assert(std::is_arithmetic_v<T>);
    T value;
    std::memcpy(&value, at, sizeof(T));
    return value;
}

/// A position in a span of bytes.
class ByteReader {
  public:
    explicit ByteReader(std::span<const uint8_t> bytes) : bytes_(bytes) {}

    size_t position() const { return at_; }
    size_t remaining() const { return bytes_.size() - at_; }

    template <class T>
    [[nodiscard]] bool read(T& value) {
        if (remaining() < sizeof(T)) return false;
        value = load_unaligned<T>(bytes_.data() + at_);
        at_ += sizeof(T);
        return true;
    }

    [[nodiscard]] bool take(uint64_t n_bytes, std::span<const uint8_t>& out) {
        if (n_bytes > remaining()) return false;
        out = bytes_.subspan(at_, static_cast<size_t>(n_bytes));
        at_ += out.size();
        return true;
    }

    /// A 64-bit length, then that many bytes.
    [[nodiscard]] bool read_string(std::span<const uint8_t>& out) {
        const size_t start = at_;
        uint64_t length = 0;
        if (read(length) && take(length, out)) return true;
        at_ = start;
        return false;
    }

  private:
    std::span<const uint8_t> bytes_;
    size_t at_ = 0;
};

/// The same bytes as characters.
inline std::string_view as_text(std::span<const uint8_t> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace gemlet
