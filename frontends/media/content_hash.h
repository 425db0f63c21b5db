// Tells contents apart without keeping them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace gemlet {

/// 128 bits of two FNV-1a sums with different starts: for caches, not against forgers.
struct ContentHash {
    uint64_t first = 0;
    uint64_t second = 0;

    friend bool operator==(const ContentHash&, const ContentHash&) = default;
    friend bool operator<(const ContentHash& a, const ContentHash& b) {
        return a.first != b.first ? a.first < b.first : a.second < b.second;
    }
    /// One number for marking positions of a prompt; never 0.
    uint64_t mark() const { return first | 1U; }
};

/// Hashes the bytes of a file.
ContentHash hash_content(std::span<const uint8_t> bytes);
/// Hashes a number that matters to the result as well (such as the budget of a picture).
ContentHash with_setting(const ContentHash& content, uint64_t setting);

/// As 32 hexadecimal digits, and back; nothing for other text.
std::string to_hex(const ContentHash& hash);
std::optional<ContentHash> hash_of_hex(std::string_view text);

}  // namespace gemlet
