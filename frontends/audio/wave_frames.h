// Sound for the 12B model, which has no audio encoder: blocks of 640 samples, each a soft token.
#pragma once

#include <cstddef>
#include <span>

namespace gemlet::audio {

inline constexpr size_t kWaveFrame = 640;  // samples, 40 ms

/// Returns the number of blocks of n_samples, the last one perhaps not full.
size_t wave_frames(size_t n_samples);

/// Copies samples into blocks, the last filled up with zeros. Values stay as they are.
/// Shapes: frames [wave_frames(samples.size()), kWaveFrame]. Aliasing: frames may begin where
/// samples begin. Source: audio.md 6.
void cut_wave_frames(std::span<const float> samples, std::span<float> frames);

}  // namespace gemlet::audio
