// FNV-1a, eight bytes at a step: pictures have megabytes. Source: Fowler, Noll and Vo; the second
// sum starts elsewhere and takes the bytes rotated, so that a collision in one is none in the
// other.
#include "frontends/media/content_hash.h"

#include <bit>
#include <cstring>

namespace gemlet {
namespace {

constexpr uint64_t kPrime = 0x100000001B3;
constexpr uint64_t kOffset = 0xCBF29CE484222325;

void mix(ContentHash& hash, uint64_t word) {
    hash.first = (hash.first ^ word) * kPrime;
    hash.first ^= hash.first >> 32U;  // the prime alone never carries high bits down
    hash.second = (hash.second ^ std::rotl(word, 23)) * kPrime;
    hash.second ^= hash.second >> 29U;
}

}  // namespace

ContentHash hash_content(std::span<const uint8_t> bytes, uint64_t setting) {
    ContentHash hash{kOffset, ~kOffset};
    mix(hash, setting);
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

}  // namespace gemlet
