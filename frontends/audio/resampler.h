// Another sample rate for a stream of mono samples.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "core/status.h"

namespace gemlet::audio {

/// Band-limited conversion in libsoxr's high quality: flat to 0.91 of the lower of both half
/// rates, aliases below -120 dB; without libsoxr by SincResampler (-100 dB). The filter's delay is
/// taken out: sample i of the result stands at i / to seconds. Threads: one at a time.
class Resampler {
  public:
    /// Errors: `out_of_memory`; `bad_argument` for rates that cannot be.
    static Result<Resampler> create(double from, double to);

    struct Step {
        size_t n_taken = 0;
        size_t n_given = 0;
    };
    /// Takes some of `in` and writes some of the result. An empty `in` says that the source has
    /// ended (then every later `in` must be empty too); when it gives less than out.size(), all has
    /// been given.
    Result<Step> process(std::span<const float> in, std::span<float> out);

  private:
    using State = std::unique_ptr<void, void (*)(void*)>;
    explicit Resampler(State state) : state_(std::move(state)) {}
    State state_;
};

}  // namespace gemlet::audio
