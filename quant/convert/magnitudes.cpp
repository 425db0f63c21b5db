// The exponent and the first bits of the mantissa are the bin. Within one the numbers are taken to
// lie in its middle, an error of 3 % that moves the best step by less than the next candidate.
#include "quant/convert/magnitudes.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace gemlet {
namespace {

constexpr double kLargestCode = 127;
constexpr int kCandidates = 48;
constexpr double kSmallestShare = 0.1;  // of the step that clips nothing

}  // namespace

void Magnitudes::add(const float* values, size_t n) {
    constexpr unsigned kShift = 23 - kMantissaBits;
    float largest = largest_;
    for (size_t i = 0; i < n; ++i) {
        const float magnitude = std::fabs(values[i]);
        largest = magnitude > largest ? magnitude : largest;
        ++counts_[std::bit_cast<uint32_t>(magnitude) >> kShift];
    }
    largest_ = largest;
}

float Magnitudes::best_step() const {
    if (!(largest_ > 0) || !std::isfinite(largest_)) return 0;
    constexpr unsigned kShift = 23 - kMantissaBits;
    const double whole = static_cast<double>(largest_) / kLargestCode;
    double best = whole;
    double least = HUGE_VAL;
    for (int i = 0; i <= kCandidates; ++i) {
        const double step = whole * std::pow(kSmallestShare, static_cast<double>(i) / kCandidates);
        const double edge = step * (kLargestCode + 0.5);
        double error = 0;
        for (size_t bin = 0; bin < kBins; ++bin) {
            if (counts_[bin] == 0) continue;
            const uint32_t middle = (static_cast<uint32_t>(bin) << kShift) | (1U << (kShift - 1));
            const double x = std::min(static_cast<double>(std::bit_cast<float>(middle)),
                                      static_cast<double>(largest_));
            // Below half a step everything becomes zero; between, the error is evenly spread.
            const double each = x < step / 2 ? x * x
                                : x <= edge  ? step * step / 12
                                            : (x - step * kLargestCode) * (x - step * kLargestCode);
            error += each * static_cast<double>(counts_[bin]);
        }
        if (error < least) {
            least = error;
            best = step;
        }
    }
    return static_cast<float>(best);
}

}  // namespace gemlet
