// Stands in where libsoxr is left out: our own filter does the same, a little less sharply.
#include "frontends/audio/resampler.h"
#include "frontends/audio/sinc_resampler.h"

namespace gemlet::audio {
namespace {

void free_state(void* state) { delete static_cast<SincResampler*>(state); }

}  // namespace

Result<Resampler> Resampler::create(double from, double to) {
    Result<SincResampler> created = SincResampler::create(from, to);
    GEMLET_TRY(created);
    return Resampler(State(new SincResampler(std::move(*created)), free_state));
}

Result<Resampler::Step> Resampler::process(std::span<const float> in, std::span<float> out) {
    return static_cast<SincResampler*>(state_.get())->process(in, out);
}

}  // namespace gemlet::audio
