// FNV-1a, eight bytes at a step: pictures have megabytes. Source: Fowler, Noll and Vo; the second
// sum starts elsewhere and takes the bytes rotated, so that a collision in one is none in the
// other.
#include "frontends/media/content_hash.h"

#include <bit>
#include <charconv>
#include <cstring>

namespace gemlet {
namespace {

constexpr uint64_t kPrime = 0x100000001B3;
constexpr unsigned kWordBits = 64;
constexpr uint64_t kOffset = 0xCBF29CE484222325;

void mix(ContentHash& hash, uint64_t word) {
    hash.first = (hash.first ^ word) * kPrime;
    hash.first ^= hash.first >> 32U;  // the prime alone never carries high bits down
    hash.second = (hash.second ^ std::rotl(word, 23)) * kPrime;
    hash.second ^= hash.second >> 29U;
}

}  // namespace

ContentHash hash_content(std::span<const uint8_t> bytes) {
    ContentHash hash{kOffset, ~kOffset};
    mix(hash, bytes.size());
    size_t at = 0;
    for (; at + sizeof(uint64_t) <= bytes.size(); at += sizeof(uint64_t)) {
        uint64_t word = 0;
        std::memcpy(&word, bytes.data() + at, sizeof word);
        mix(hash, word);
    }
    uint64_t rest = 0;
    if (at < bytes.size()) std::memcpy(&rest, bytes.data() + at, bytes.size() - at);
    mix(hash, rest);
    return hash;
}

ContentHash with_setting(const ContentHash& content, uint64_t setting) {
    ContentHash hash = content;
    mix(hash, setting);
    return hash;
}

std::string to_hex(const ContentHash& hash) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text;
    for (const uint64_t word : {hash.first, hash.second}) {
        for (unsigned shift = kWordBits; shift > 0; shift -= 4) {
            text += kDigits[word >> (shift - 4) & 15U];
        }
    }
    return text;
}

std::optional<ContentHash> hash_of_hex(std::string_view text) {
    constexpr size_t kDigits = kWordBits / 4;
    if (text.size() != 2 * kDigits) return std::nullopt;
    const auto read = [](std::string_view digits, uint64_t& word) {
        const char* end = digits.data() + digits.size();
        return std::from_chars(digits.data(), end, word, 16).ptr == end;
    };
    ContentHash hash;
    const bool is_read =
        read(text.substr(0, kDigits), hash.first) && read(text.substr(kDigits), hash.second);
    return is_read ? std::optional(hash) : std::nullopt;
}

}  // namespace gemlet
