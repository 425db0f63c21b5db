// The samples as they are; the last block is filled up with zeros.
#include "frontends/audio/wave_frames.h"

#include <algorithm>
#include <cstring>

#include "core/status.h"

namespace gemlet::audio {

size_t wave_frames(size_t n_samples) {
    return n_samples / kWaveFrame + (n_samples % kWaveFrame != 0 ? 1 : 0);
}

void cut_wave_frames(std::span<const float> samples, std::span<float> frames) {
    GEMLET_ASSERT(frames.size() == wave_frames(samples.size()) * kWaveFrame);
    if (samples.empty()) return;
    std::memmove(frames.data(), samples.data(), samples.size_bytes());
    std::fill(frames.begin() + static_cast<ptrdiff_t>(samples.size()), frames.end(), 0.0F);
}

}  // namespace gemlet::audio
