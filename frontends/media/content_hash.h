// Tells contents apart without keeping them.
#pragma once

#include <cstdint>
#include <span>

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

/// Hashes bytes together with a number that matters to the result (the budget of a picture).
ContentHash hash_content(std::span<const uint8_t> bytes, uint64_t setting);

}  // namespace gemlet
