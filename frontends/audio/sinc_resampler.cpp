// A result is a sum of source samples around its position, weighted by a sinc under a Kaiser window
// (Oppenheim and Schafer, Discrete-Time Signal Processing, 7.5.3). Positions advance in exact
// fractions. Where these have few places between two samples (common rates: at most 640), the
// filter is tabulated at exactly those; otherwise at so many that the straight line between two
// neighbours is off by less than the stop band. One way for both: a weight of zero leaves the
// second out.
#include "frontends/audio/sinc_resampler.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

namespace gemlet::audio {
namespace {

// Relative to the lower of both half rates: where the pass band ends, where aliases are gone.
constexpr double kPassEnd = 0.91;
constexpr double kStopBegin = 1.0;
constexpr double kAttenuationDb = 110;
constexpr double kRateUnits = 1 << 20;  // parts of a sample a second that rates are rounded to
constexpr int64_t kMostExactPhases = 1024;
// A line between points 1/512 of the lower rate's period apart misses a sine at its half rate by
// (pi / 512)^2 / 8, -106 dB.
constexpr double kPhasesOfLine = 512;
constexpr size_t kRoom = 4096;  // samples taken at once
constexpr size_t kLanes = 8;    // sums side by side, which a compiler can keep in vectors

// The modified Bessel function of order 0, by its power series.
double bessel_i0(double x) {
    double sum = 1;
    double term = 1;
    for (int k = 1; term > sum * 1e-17; ++k) {
        term *= (x / (2 * k)) * (x / (2 * k));
        sum += term;
    }
    return sum;
}

float dot(const float* a, const float* b, size_t n) {
    float lanes[kLanes] = {};
    for (size_t i = 0; i < n; i += kLanes) {
        for (size_t j = 0; j < kLanes; ++j) lanes[j] += a[i + j] * b[i + j];
    }
    for (size_t width = kLanes / 2; width > 0; width /= 2) {
        for (size_t j = 0; j < width; ++j) lanes[j] += lanes[j + width];
    }
    return lanes[0];
}

}  // namespace

Result<SincResampler> SincResampler::create(double from, double to) {
    for (const double rate : {from, to}) {
        if (!(rate >= 1 && rate <= 1e7)) {  // also NaN
            return Status(StatusCode::bad_argument, "sample rate that cannot be converted",
                          "sound");
        }
    }
    SincResampler resampler;
    const int64_t from_units = std::llround(from * kRateUnits);
    const int64_t to_units = std::llround(to * kRateUnits);
    const int64_t common = std::gcd(from_units, to_units);
    resampler.units_ = to_units / common;
    resampler.step_whole_ = from_units / to_units;
    resampler.step_part_ = from_units % to_units / common;
    resampler.ratio_ = to / from;
    resampler.make_filter(std::min(1.0, to / from));
    resampler.history_.resize(resampler.n_taps_ + kRoom);
    resampler.n_history_ = resampler.n_taps_ / 2 - 1;
    resampler.first_ = 1 - static_cast<int64_t>(resampler.n_taps_ / 2);
    return resampler;
}

// `cutoff`: the lower of both half rates, relative to the source's.
void SincResampler::make_filter(double cutoff) {
    constexpr double kPi = std::numbers::pi;
    const double transition = kPi * cutoff * (kStopBegin - kPassEnd);
    const double length = (kAttenuationDb - 8) / (2.285 * transition);
    const double beta = 0.1102 * (kAttenuationDb - 8.7);
    const double centre = cutoff * (kStopBegin + kPassEnd) / 2;
    n_taps_ = (static_cast<size_t>(length) / (2 * kLanes) + 1) * (2 * kLanes);
    n_phases_ = units_ <= kMostExactPhases ? static_cast<size_t>(units_)
                                           : static_cast<size_t>(std::ceil(kPhasesOfLine * cutoff));
    filter_.resize((n_phases_ + 1) * n_taps_);
    const double half = static_cast<double>(n_taps_) / 2;
    std::vector<double> row(n_taps_);
    for (size_t phase = 0; phase <= n_phases_; ++phase) {
        const double shift = static_cast<double>(phase) / static_cast<double>(n_phases_);
        double sum = 0;
        for (size_t i = 0; i < n_taps_; ++i) {
            const double t = static_cast<double>(i) - (half - 1) - shift;
            const double x = kPi * centre * t;
            const double within = std::max(0.0, 1 - (t / half) * (t / half));
            row[i] = (x == 0 ? 1 : std::sin(x) / x) * bessel_i0(beta * std::sqrt(within));
            sum += row[i];
        }
        // A constant stays what it is.
        for (size_t i = 0; i < n_taps_; ++i) {
            filter_[phase * n_taps_ + i] = static_cast<float>(row[i] / sum);
        }
    }
}

void SincResampler::append(std::span<const float> in) {
    std::copy(in.begin(), in.end(), history_.begin() + static_cast<ptrdiff_t>(n_history_));
    n_history_ += in.size();
}

float SincResampler::at_position() const {
    const auto begin = static_cast<size_t>(whole_ - static_cast<int64_t>(n_taps_ / 2) + 1 - first_);
    const double place =
        static_cast<double>(part_) * static_cast<double>(n_phases_) / static_cast<double>(units_);
    const auto phase = static_cast<size_t>(place);
    const auto weight = static_cast<float>(place - static_cast<double>(phase));
    const float* rows = filter_.data() + phase * n_taps_;
    const float near = dot(rows, history_.data() + begin, n_taps_);
    if (weight == 0) return near;
    return near + weight * (dot(rows + n_taps_, history_.data() + begin, n_taps_) - near);
}

Resampler::Step SincResampler::process(std::span<const float> in, std::span<float> out) {
    Resampler::Step step;
    const auto half = static_cast<int64_t>(n_taps_ / 2);
    has_ended_ = has_ended_ || in.empty();
    for (;;) {
        const int64_t n_last = std::llround(static_cast<double>(n_in_) * ratio_);
        const int64_t n_ready = first_ + static_cast<int64_t>(n_history_);
        while (step.n_given < out.size() && whole_ + half < n_ready &&
               (!has_ended_ || n_out_ < n_last)) {
            out[step.n_given++] = at_position();
            ++n_out_;
            part_ += step_part_;
            whole_ += step_whole_ + (part_ >= units_ ? 1 : 0);
            if (part_ >= units_) part_ -= units_;
        }
        const bool is_done = has_ended_ ? n_out_ >= n_last : step.n_taken == in.size();
        if (step.n_given == out.size() || is_done) return step;

        // Drops what lies before the next position, then takes as much as there is room for.
        const int64_t n_gone =
            std::clamp<int64_t>(whole_ - half + 1 - first_, 0, static_cast<int64_t>(n_history_));
        std::copy(history_.begin() + n_gone, history_.begin() + static_cast<ptrdiff_t>(n_history_),
                  history_.begin());
        n_history_ -= static_cast<size_t>(n_gone);
        first_ += n_gone;
        const size_t room = history_.size() - n_history_;
        if (has_ended_) {
            std::fill_n(history_.begin() + static_cast<ptrdiff_t>(n_history_), room, 0.0F);
            n_history_ += room;
        } else {
            const size_t n = std::min(room, in.size() - step.n_taken);
            append(in.subspan(step.n_taken, n));
            step.n_taken += n;
            n_in_ += static_cast<int64_t>(n);
        }
    }
}

}  // namespace gemlet::audio
