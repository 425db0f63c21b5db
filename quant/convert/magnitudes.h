// How large the numbers are that a site of static quantisation meets, and the step that suits them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace gemlet {

/// Counts magnitudes in bins of an eighth of an octave, which is all that choosing a step needs:
/// 16 KiB however many numbers there are. Threads: one at a time.
class Magnitudes {
  public:
    /// Counts n values. What is not finite counts as the largest bin.
    void add(const float* values, size_t n);
    /// Returns the step s for which clamp(round(x / s), -128, 127) * s leaves the least squared
    /// error over all that was counted. Beyond the largest magnitude nothing is gained; clipping a
    /// rare outlier often gains. 0 where everything was 0: such a site is not quantised.
    float best_step() const;
    /// Largest magnitude so far.
    float largest() const { return largest_; }

  private:
    static constexpr unsigned kMantissaBits = 3;
    static constexpr size_t kBins = size_t{256} << kMantissaBits;

    std::array<uint64_t, kBins> counts_{};
    float largest_ = 0;
};

}  // namespace gemlet
