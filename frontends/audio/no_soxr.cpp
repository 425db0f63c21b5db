// Stands in where libsoxr is left out.
#include "frontends/audio/resampler.h"

namespace gemlet::audio {

Result<Resampler> Resampler::create(double from, double /*to*/) {
    return Status(StatusCode::unsupported,
                  "this build of gemlet takes sound at 16000 samples a second only (no libsoxr)",
                  "sound", static_cast<int64_t>(from));
}

Result<Resampler::Step> Resampler::process(std::span<const float> /*in*/,
                                           std::span<float> /*out*/) {
    return Step();
}

}  // namespace gemlet::audio
