// The sounds of tests/data/audio, sounds made on the spot, and what tests of sound share.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <numbers>
#include <span>
#include <string>
#include <vector>

#include "frontends/audio/sound_reader.h"

namespace gemlet::audio_test {

using Bytes = std::vector<uint8_t>;
using Samples = std::vector<float>;

inline std::string path_of(const std::string& name) {
    return std::string(GEMLET_TEST_DATA "/audio/") + name;
}

inline Bytes read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    EXPECT_TRUE(file) << path;
    return Bytes(std::istreambuf_iterator<char>(file), {});
}

// The chirp of make_sounds.py: its amplitude rises from nothing and falls back.
inline constexpr double kChirpSeconds = 0.25;
inline double chirp(double t) {
    if (t < 0 || t > kChirpSeconds) return 0;
    const double swell = std::sin(std::numbers::pi * t / kChirpSeconds);
    return 0.6 * swell * swell * std::sin(2 * std::numbers::pi * (300 * t + 3000 * t * t));
}

/// How a WAV file stores a sample.
struct Width {
    size_t n_bytes;
    bool is_float;
};

inline void append(Bytes& bytes, uint64_t value, size_t n) {
    for (size_t i = 0; i < n; ++i) bytes.push_back(static_cast<uint8_t>(value >> 8 * i));
}

inline void append(Bytes& bytes, const std::string& text) {
    bytes.insert(bytes.end(), text.begin(), text.end());
}

// Full scale is 1. Whole numbers are rounded; 8 bits have an offset.
inline void append_sample(Bytes& bytes, double value, Width width) {
    if (width.is_float && width.n_bytes == 8) {
        append(bytes, std::bit_cast<uint64_t>(value), 8);
    } else if (width.is_float) {
        append(bytes, std::bit_cast<uint32_t>(static_cast<float>(value)), 4);
    } else {
        const auto whole =
            std::llround(value * std::ldexp(1, static_cast<int>(8 * width.n_bytes - 1)));
        append(bytes, static_cast<uint64_t>(whole + (width.n_bytes == 1 ? 128 : 0)), width.n_bytes);
    }
}

/// A header for n_bytes of samples; `promised` instead of n_bytes where a header shall lie.
inline Bytes wav_header(uint32_t rate, uint16_t n_channels, Width width, uint32_t promised) {
    Bytes bytes;
    append(bytes, "RIFF");
    append(bytes, uint64_t{36} + promised, 4);
    append(bytes, "WAVEfmt ");
    append(bytes, 16, 4);
    append(bytes, width.is_float ? 3 : 1, 2);
    append(bytes, n_channels, 2);
    append(bytes, rate, 4);
    append(bytes, uint64_t{rate} * n_channels * width.n_bytes, 4);
    append(bytes, n_channels * width.n_bytes, 2);
    append(bytes, 8 * width.n_bytes, 2);
    append(bytes, "data");
    append(bytes, promised, 4);
    return bytes;
}

/// Interleaved samples as a WAV file.
inline Bytes wav_file(std::span<const double> samples, uint32_t rate, uint16_t n_channels,
                      Width width) {
    Bytes bytes =
        wav_header(rate, n_channels, width, static_cast<uint32_t>(samples.size() * width.n_bytes));
    for (const double sample : samples) append_sample(bytes, sample, width);
    return bytes;
}

/// Everything that the reader gives, in pieces of that size.
inline Result<Samples> read_all(audio::SoundReader& reader, size_t piece = 1000) {
    Samples all;
    Samples buffer(piece);
    for (;;) {
        const Result<size_t> n = reader.read(buffer);
        GEMLET_TRY(n);
        if (*n == 0) return all;
        all.insert(all.end(), buffer.begin(), buffer.begin() + static_cast<ptrdiff_t>(*n));
    }
}

inline Result<Samples> read_all(std::span<const uint8_t> bytes, size_t piece = 1000,
                                const audio::SoundLimits& limits = {}) {
    const auto reader = audio::SoundReader::from_memory(bytes, limits);
    GEMLET_TRY(reader);
    return read_all(**reader, piece);
}

}  // namespace gemlet::audio_test
