// Sounds of chats need not be speech, so no pause is looked for and nothing is dropped: a piece
// ends where the least is heard.
#include "frontends/server/api/sound_pieces.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <string_view>

#include "frontends/audio/sound_reader.h"

namespace gemlet::server {
namespace {

constexpr size_t kRate = audio::kSoundRate;
constexpr size_t kMostSamples = 30 * kRate;
constexpr size_t kSearched = 5 * kRate;  // at the end of a piece
constexpr size_t kMoment = kRate / 20;
constexpr size_t kBlock = size_t{1} << 16U;

/// All samples; nothing where they cannot be read, or are too many.
std::vector<float> samples_of(std::span<const uint8_t> bytes, double most_seconds) {
    const Result<std::unique_ptr<audio::SoundReader>> reader =
        audio::SoundReader::from_memory(bytes);
    std::vector<float> samples;
    while (reader) {
        const size_t n = samples.size();
        samples.resize(n + kBlock);
        const Result<size_t> n_read = (*reader)->read(std::span(samples).subspan(n));
        if (!n_read) return {};
        samples.resize(n + *n_read);
        if (static_cast<double>(samples.size()) > most_seconds * kRate) return {};
        if (*n_read == 0) break;
    }
    return samples;
}

/// The middle of the quietest moment near the end of the first piece of `samples`.
size_t best_cut(std::span<const float> samples) {
    size_t best = kMostSamples;
    float least = 0;
    for (size_t at = kMostSamples - kSearched; at + kMoment <= kMostSamples; at += kMoment) {
        float energy = 0;
        for (const float x : samples.subspan(at, kMoment)) energy += x * x;
        if (best != kMostSamples && energy >= least) continue;
        best = at + kMoment / 2;
        least = energy;
    }
    return best;
}

/// A WAV file of 32-bit floats, so that a piece is what it was cut from.
std::vector<uint8_t> wave_of(std::span<const float> samples) {
    std::vector<uint8_t> out;
    const auto text = [&](std::string_view word) {
        for (const char c : word) out.push_back(static_cast<uint8_t>(c));
    };
    const auto number = [&](uint32_t value, size_t n_bytes) {
        for (size_t i = 0; i < n_bytes; ++i) out.push_back(static_cast<uint8_t>(value >> 8 * i));
    };
    constexpr uint32_t kWidth = sizeof(float);
    constexpr uint32_t kFloats = 3;
    const auto n_bytes = static_cast<uint32_t>(samples.size() * kWidth);
    out.reserve(44 + n_bytes);
    text("RIFF");
    number(36 + n_bytes, 4);
    text("WAVEfmt ");
    number(16, 4);
    number(kFloats, 2);
    number(1, 2);  // channel
    number(kRate, 4);
    number(kRate * kWidth, 4);
    number(kWidth, 2);
    number(8 * kWidth, 2);
    text("data");
    number(n_bytes, 4);
    for (const float x : samples) number(std::bit_cast<uint32_t>(x), kWidth);
    return out;
}

}  // namespace

std::vector<std::vector<uint8_t>> cut_sound(std::span<const uint8_t> bytes, double most_seconds) {
    const std::vector<float> samples = samples_of(bytes, most_seconds);
    std::vector<std::vector<uint8_t>> pieces;
    if (samples.size() <= kMostSamples) return pieces;
    std::span<const float> left = samples;
    while (left.size() > kMostSamples) {
        const size_t n = best_cut(left);
        pieces.push_back(wave_of(left.first(n)));
        left = left.subspan(n);
    }
    pieces.push_back(wave_of(left));
    return pieces;
}

}  // namespace gemlet::server
