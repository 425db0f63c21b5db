// The constants are computed as the standard defines them: the first 32 fraction bits of square
// roots (initial state) and cube roots (rounds) of the first primes. long double has the bits.
#include "tests/formats/sha256.h"

#include <array>
#include <bit>
#include <cmath>

namespace gemlet {
namespace {

using State = std::array<uint32_t, 8>;

uint32_t fraction_bits(long double value) {
    return static_cast<uint32_t>((value - std::floor(value)) * 4294967296.0L);
}

std::vector<int> first_primes(size_t n) {
    std::vector<int> primes;
    for (int candidate = 2; primes.size() < n; ++candidate) {
        bool is_prime = true;
        for (const int prime : primes) is_prime = is_prime && candidate % prime != 0;
        if (is_prime) primes.push_back(candidate);
    }
    return primes;
}

uint32_t word_at(const std::vector<uint8_t>& bytes, size_t at) {
    return static_cast<uint32_t>(bytes[at]) << 24 | static_cast<uint32_t>(bytes[at + 1]) << 16 |
           static_cast<uint32_t>(bytes[at + 2]) << 8 | static_cast<uint32_t>(bytes[at + 3]);
}

void add_chunk(const std::vector<uint8_t>& bytes, size_t at, const std::array<uint32_t, 64>& k,
               State& state) {
    std::array<uint32_t, 64> w{};
    for (size_t i = 0; i < 16; ++i) w[i] = word_at(bytes, at + 4 * i);
    for (size_t i = 16; i < 64; ++i) {
        const uint32_t a = w[i - 15];
        const uint32_t b = w[i - 2];
        w[i] = w[i - 16] + w[i - 7] + (std::rotr(a, 7) ^ std::rotr(a, 18) ^ (a >> 3)) +
               (std::rotr(b, 17) ^ std::rotr(b, 19) ^ (b >> 10));
    }
    State s = state;
    for (size_t i = 0; i < 64; ++i) {
        const uint32_t mixed = std::rotr(s[4], 6) ^ std::rotr(s[4], 11) ^ std::rotr(s[4], 25);
        const uint32_t choice = (s[4] & s[5]) ^ (~s[4] & s[6]);
        const uint32_t first = s[7] + mixed + choice + k[i] + w[i];
        const uint32_t turned = std::rotr(s[0], 2) ^ std::rotr(s[0], 13) ^ std::rotr(s[0], 22);
        const uint32_t majority = (s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]);
        s = {first + turned + majority, s[0], s[1], s[2], s[3] + first, s[4], s[5], s[6]};
    }
    for (size_t i = 0; i < 8; ++i) state[i] += s[i];
}

}  // namespace

std::string sha256_hex(const std::vector<uint8_t>& bytes) {
    const std::vector<int> primes = first_primes(64);
    State state{};
    std::array<uint32_t, 64> k{};
    for (size_t i = 0; i < 8; ++i) {
        state[i] = fraction_bits(std::sqrt(static_cast<long double>(primes[i])));
    }
    for (size_t i = 0; i < 64; ++i) {
        k[i] = fraction_bits(std::cbrt(static_cast<long double>(primes[i])));
    }
    std::vector<uint8_t> padded = bytes;
    padded.push_back(0x80);
    while (padded.size() % 64 != 56) padded.push_back(0);
    const uint64_t n_bits = 8 * static_cast<uint64_t>(bytes.size());
    for (int shift = 56; shift >= 0; shift -= 8) {
        padded.push_back(static_cast<uint8_t>(n_bits >> shift));
    }
    for (size_t at = 0; at < padded.size(); at += 64) add_chunk(padded, at, k, state);
    std::string hex;
    for (const uint32_t word : state) {
        for (int shift = 28; shift >= 0; shift -= 4) hex += "0123456789abcdef"[word >> shift & 15];
    }
    return hex;
}

}  // namespace gemlet
