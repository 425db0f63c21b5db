// The Fourier transform of the analysis window: 512 real values, magnitudes only.
#pragma once

#include <array>
#include <cstddef>
#include <span>

namespace gemlet::audio {

inline constexpr size_t kFftSize = 512;
inline constexpr size_t kFftBins = kFftSize / 2 + 1;

/// Magnitudes of the discrete Fourier transform of kFftSize real values. Double precision, so that
/// the order of operations, in which libraries differ, does not show in float32.
/// Threads: an object holds its scratch; one thread at a time. Allocates nothing.
class RealFft {
  public:
    RealFft();

    /// Shapes: samples [at most kFftSize], taken as if followed by zeros; magnitudes [kFftBins].
    /// Aliasing: none.
    void magnitudes(std::span<const float> samples, std::span<double> magnitudes);

  private:
    static constexpr size_t kHalf = kFftSize / 2;  // complex values
    struct Complexes {
        std::array<double, kHalf> re;
        std::array<double, kHalf> im;
    };

    void transform();

    std::array<double, kFftSize> cosine_;  // of 2 pi i / kFftSize
    std::array<double, kFftSize> sine_;
    Complexes values_;
    Complexes next_;
};

}  // namespace gemlet::audio
