// libsoxr, constant rate, one thread.
#include <soxr.h>

#include "frontends/audio/resampler.h"

namespace gemlet::audio {
namespace {

void free_state(void* state) { soxr_delete(static_cast<soxr_t>(state)); }

}  // namespace

Result<Resampler> Resampler::create(double from, double to) {
    const soxr_io_spec_t samples = soxr_io_spec(SOXR_FLOAT32_I, SOXR_FLOAT32_I);
    const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
    const soxr_runtime_spec_t threads = soxr_runtime_spec(1);
    soxr_error_t error = nullptr;
    soxr_t state = soxr_create(from, to, 1, &error, &samples, &quality, &threads);
    if (state == nullptr || error != nullptr) {
        free_state(state);
        return Status(StatusCode::bad_argument, "sample rate that cannot be converted", "sound",
                      static_cast<int64_t>(from));
    }
    return Resampler(State(state, free_state));
}

Result<Resampler::Step> Resampler::process(std::span<const float> in, std::span<float> out) {
    Step step;
    const soxr_error_t error =
        soxr_process(static_cast<soxr_t>(state_.get()), in.empty() ? nullptr : in.data(), in.size(),
                     &step.n_taken, out.data(), out.size(), &step.n_given);
    if (error != nullptr) {
        return Status(StatusCode::out_of_memory, "the sample rate cannot be converted", "sound");
    }
    return step;
}

}  // namespace gemlet::audio
