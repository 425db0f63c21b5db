// Sound files of all formats: whatever is read is finite, and the reader comes to an end.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "frontends/audio/sound_reader.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using gemlet::audio::SoundReader;
    // Half a minute at the most: a lossless format makes hours of silence from a few bytes.
    constexpr size_t kMaxSamples = 480000;
    const auto reader = SoundReader::from_memory({data, size});
    if (!reader) {
        if (*reader.error().text() == '\0') __builtin_trap();
        return 0;
    }
    std::vector<float> samples(4000);
    for (size_t n_all = 0; n_all < kMaxSamples;) {
        const auto n = (*reader)->read(samples);
        if (!n || *n == 0) return 0;
        if (*n > samples.size()) __builtin_trap();
        for (size_t i = 0; i < *n; ++i) {
            if (!std::isfinite(samples[i])) __builtin_trap();
        }
        n_all += *n;
    }
    return 0;
}
