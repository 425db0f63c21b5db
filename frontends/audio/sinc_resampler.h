// Another sample rate without a library: for builds without libsoxr.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/status.h"
#include "frontends/audio/resampler.h"

namespace gemlet::audio {

/// Band-limited conversion by a windowed sinc: flat within 0.001 dB to 0.91 of the lower of both
/// half rates, aliases below -100 dB (measured: 0.00003 dB, -115 dB). Delay and calls as
/// Resampler's. All memory is taken at creation. Threads: one at a time.
class SincResampler {
  public:
    /// May throw std::bad_alloc. Errors: `bad_argument` for rates beyond 1 to 10^7.
    static Result<SincResampler> create(double from, double to);

    /// See Resampler::process.
    Resampler::Step process(std::span<const float> in, std::span<float> out);

  private:
    void make_filter(double cutoff);
    void append(std::span<const float> in);
    float at_position() const;

    // A position in the source is whole + part / units.
    int64_t units_ = 1;
    int64_t step_whole_ = 0;
    int64_t step_part_ = 0;
    int64_t whole_ = 0;
    int64_t part_ = 0;

    size_t n_taps_ = 0;          // even; half of them at or before the position
    size_t n_phases_ = 0;        // places between two samples that the filter is known at
    std::vector<float> filter_;  // [n_phases + 1, n_taps]

    std::vector<float> history_;  // the source from sample first_ on; before its begin zeros
    size_t n_history_ = 0;
    int64_t first_ = 0;
    int64_t n_in_ = 0;  // samples of the source so far
    int64_t n_out_ = 0;
    bool has_ended_ = false;
    double ratio_ = 1;  // results per sample
};

}  // namespace gemlet::audio
