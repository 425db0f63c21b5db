// A head without a static input scale multiplies every weight row with the three digits ("limbs")
// of a 24-bit activation row, of which a sampler then looks at few results. So where the largest
// logits suffice, all of them are estimated first, from the leading digit or two:
//     logit = scale * weight_scale * sum(w * (digits kept + digits left out)),
//     |logit - estimate| <= scale * weight_scale * (low * most + high * least),
// where most and least are the larger and the smaller of the sums of the positive and of the
// negative digits left out, and w lies in [-low, high]. The n-th largest lower bound is below the
// n-th largest logit; rows whose upper bound reaches it are computed in full, the same bits as
// ever, and every other estimate lies below all of these.
#include "core/text/head.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>

namespace gemlet {
namespace {

constexpr size_t kBlock = 64;  // weight rows whose bounds are kept together
constexpr size_t kGroup = 4;   // weight rows that kernels multiply together
constexpr size_t kMostRows = 16;
constexpr size_t kMostDigits = 2;
/// Deviation of evenly used codes, in units of the lowest, times that of a normal distribution in
/// units of its mean magnitude.
constexpr double kEvenCodes = 0.55 * 1.25;
/// Roundings of an estimate and of an exact logit, relative: there are fewer than 16 of 2^-24.
constexpr float kRounding = 0x1.0p-20F;

size_t blocks_of(size_t vocab) { return (vocab + kBlock - 1) / kBlock; }

/// Magnitude of the lowest weight code; the highest is one less.
double lowest_weight(WeightType type) {
    return type == WeightType::i2r ? 2 : type == WeightType::i4r ? 8 : 128;
}

/// What the digits left out of a row can add, for weight and weight scale 1.
struct LeftOut {
    double one_digit = 0;   // only the leading digit kept
    double two_digits = 0;  // the two leading ones
    double sum = 0;         // of the row's magnitudes
};

struct SignedSum {
    int64_t positive = 0;
    int64_t negative = 0;

    void add(int32_t value) { (value > 0 ? positive : negative) += std::abs(value); }
    /// Most that the digits can add with weights in [-low, low - 1].
    double most(double low) const {
        const auto [least, most] = std::minmax(positive, negative);
        return low * static_cast<double>(most) + (low - 1) * static_cast<double>(least);
    }
};

LeftOut left_out(const RowActivations& x, WeightType type) {
    const size_t n = row_streams(type) * x.stream_bytes;
    const int8_t* digit = x.codes;
    SignedSum one;
    SignedSum two;
    double sum = 0;
    for (size_t i = 0; i < n; ++i) {
        const auto low = int32_t{digit[i]};
        const int32_t middle = low + 256 * digit[n + i];
        two.add(low);
        one.add(middle);
        sum += std::abs(middle + 65536 * digit[2 * n + i]);
    }
    const double low = lowest_weight(type);
    return {one.most(low), two.most(low), sum};
}

/// One head product of which the largest results are wanted.
class LargestLogits {
  public:
    LargestLogits(const Compute& compute, const ModelConfig& config, const Matrix& head,
                  const RowActivations& x, std::span<const StepRow> rows)
        : compute_(compute),
          config_(config),
          head_(head),
          x_(x),
          rows_(rows),
          n_blocks_(blocks_of(head.n_rows)) {
        Packing packing(compute.workspace.estimates);
        digits_ = lay_out_rows(packing, head.type, 1, kMostDigits * rows.size(), head.n_cols);
        lower_ = packing.take<float>(rows.size() * n_blocks_);
        upper_ = packing.take<float>(rows.size() * n_blocks_);
    }

    /// Whether estimates can tell; then they are made.
    bool estimate();
    /// Whether it can be told which logits may be among the largest.
    bool find_thresholds();
    /// Computes those in full; returns how many.
    size_t compute_candidates();

  private:
    bool choose_digits();
    void estimate_block(size_t block, float* room);
    size_t compute_block(size_t row, size_t block);
    float weight_scale(size_t n) const {
        float scale = 0;
        std::memcpy(&scale, head_.row_scale + n * sizeof(float), sizeof(scale));
        return std::fabs(scale);
    }
    /// How far a logit may lie from its estimate.
    float reach(size_t row, size_t n, float logit) const {
        return weight_scale(n) * bound_[row] + kRounding * std::fabs(logit);
    }
    float* logits_of(size_t row) const { return compute_.workspace.logits + row * head_.n_rows; }

    const Compute& compute_;
    const ModelConfig& config_;
    const Matrix& head_;
    const RowActivations& x_;
    std::span<const StepRow> rows_;
    size_t n_blocks_;
    size_t n_digits_ = 1;
    RowActivations digits_;                 // n_digits_ rows, leading first, for each of rows_
    float* lower_;                          // [rows, n_blocks] largest lower bound of a block
    float* upper_;                          // [rows, n_blocks] largest upper bound
    std::array<float, kMostRows> bound_{};  // of a weight scale of 1
    std::array<float, kMostRows> threshold_{};
};

/// Keeps the leading digit where it tells enough, else two: rows with a few large values spend
/// their leading digits on these. False: not even two do.
bool LargestLogits::choose_digits() {
    // A logit's deviation from zero, were activations and codes spread evenly; the largest of a
    // vocabulary lie 4 to 5 times as far out. From magnitudes, which few large values change less
    // than they do squares.
    const double deviation_of_sum =
        kEvenCodes * lowest_weight(head_.type) / std::sqrt(static_cast<double>(head_.n_cols));
    std::array<LeftOut, kMostRows> rest;
    n_digits_ = 1;
    for (size_t row = 0; row < rows_.size(); ++row) {
        rest[row] = left_out(from_row(x_, head_.type, row), head_.type);
        if (rest[row].one_digit > deviation_of_sum * rest[row].sum) n_digits_ = 2;
    }
    for (size_t row = 0; row < rows_.size(); ++row) {
        const double kept = n_digits_ == 1 ? rest[row].one_digit : rest[row].two_digits;
        const double rounding = static_cast<double>(kRounding) * (rest[row].one_digit + kept);
        bound_[row] = static_cast<float>((kept + rounding) * static_cast<double>(x_.scale[row]));
        if (!std::isfinite(bound_[row])) return false;
    }
    return true;
}

bool LargestLogits::estimate() {
    if (!choose_digits()) return false;
    const size_t digit_bytes = row_streams(head_.type) * x_.stream_bytes;
    for (size_t row = 0; row < rows_.size(); ++row) {
        float worth = 65536.0F;
        for (size_t digit = 0; digit < n_digits_; ++digit, worth /= 256.0F) {
            const size_t from = row * kFixedPointLimbs + kFixedPointLimbs - 1 - digit;
            const size_t to = row * n_digits_ + digit;
            std::copy_n(x_.codes + from * digit_bytes, digit_bytes,
                        digits_.codes + to * digit_bytes);
            digits_.sums[to] = x_.sums[from];
            digits_.scale[to] = x_.scale[row] * worth;
        }
    }
    constexpr size_t kBlocksAtOnce = 3;
    compute_.pool.parallel_for(n_blocks_, kBlocksAtOnce,
                               [&](size_t begin, size_t end, size_t worker) noexcept {
                                   float* room = compute_.workspace.row_scratch(worker);
                                   for (size_t block = begin; block < end; ++block)
                                       estimate_block(block, room);
                               });
    return true;
}

/// The multiplication, and the block's bounds while its estimates are at hand.
void LargestLogits::estimate_block(size_t block, float* room) {
    constexpr float kLowest = -std::numeric_limits<float>::infinity();
    const size_t first = block * kBlock;
    const size_t n = std::min(kBlock, head_.n_rows - first);
    const Matrix part = head_.rows(first, n);
    compute_.kernels.matmul_row->run({part.data, part.row_stride_bytes, part.type, part.row_scale,
                                      digits_, 0, room, kBlock, rows_.size() * n_digits_, 0, n,
                                      part.n_cols});
    for (size_t row = 0; row < rows_.size(); ++row) {
        const float* products = room + row * n_digits_ * kBlock;
        float* logits = logits_of(row) + first;
        float lower = kLowest;
        float upper = kLowest;
        for (size_t i = 0; i < n; ++i) {
            logits[i] = n_digits_ == 1 ? products[i] : products[i] + products[kBlock + i];
            const float far = reach(row, first + i, logits[i]);
            lower = std::max(lower, logits[i] - far);
            upper = std::max(upper, logits[i] + far);
        }
        lower_[row * n_blocks_ + block] = lower;
        upper_[row * n_blocks_ + block] = upper;
    }
}

/// The n-th largest lower bound of a block is not above the n-th largest logit.
bool LargestLogits::find_thresholds() {
    // The soft cap could make logits equal, or in its rounding change their order, that are closer
    // than this; where it is flat, logits that are far from each other.
    constexpr float kCapRounding = 1e-4F;
    constexpr float kCapFlat = 3.0F;
    for (size_t row = 0; row < rows_.size(); ++row) {
        const size_t n_best = rows_[row].n_best;
        if (n_best > n_blocks_) return false;
        float* lower = lower_ + row * n_blocks_;
        float* nth = lower + n_best - 1;
        std::nth_element(lower, nth, lower + n_blocks_, std::greater<>());
        if (config_.soft_cap > 0 && std::fabs(*nth) > kCapFlat * config_.soft_cap) return false;
        threshold_[row] = *nth - kCapRounding * config_.soft_cap;
    }
    return true;
}

/// Computes what can be among the row's largest in full, and what kernels multiply with it.
size_t LargestLogits::compute_block(size_t row, size_t block) {
    const size_t end = std::min((block + 1) * kBlock, head_.n_rows);
    float* logits = logits_of(row);
    size_t n_computed = 0;
    for (size_t first = block * kBlock; first < end; first += kGroup) {
        const size_t n = std::min(kGroup, end - first);
        bool reaches = false;
        for (size_t i = first; i < first + n; ++i) {
            reaches = reaches || logits[i] + reach(row, i, logits[i]) >= threshold_[row];
        }
        if (!reaches) continue;
        const Matrix part = head_.rows(first, n);
        compute_.kernels.matmul_row->run({part.data, part.row_stride_bytes, part.type,
                                          part.row_scale, from_row(x_, part.type, row), 0,
                                          logits + first, head_.n_rows, 1, 0, n, part.n_cols});
        n_computed += n;
    }
    return n_computed;
}

size_t LargestLogits::compute_candidates() {
    constexpr size_t kBlocksAtOnce = 64;
    std::atomic<size_t> n_computed{0};
    compute_.pool.parallel_for(rows_.size() * n_blocks_, kBlocksAtOnce,
                               [&](size_t begin, size_t end, size_t) noexcept {
                                   for (size_t at = begin; at < end; ++at) {
                                       if (upper_[at] < threshold_[at / n_blocks_]) continue;
                                       n_computed += compute_block(at / n_blocks_, at % n_blocks_);
                                   }
                               });
    return n_computed;
}

bool only_largest_wanted(const Compute& compute, const Matrix& head, const Activations& in,
                         std::span<const StepRow> rows) {
    const auto wants_few = [](const StepRow& row) { return row.n_best != 0; };
    return in.form.family == Family::row_integer && in.row.n_limbs == kFixedPointLimbs &&
           head.output_scale == 0 && compute.observer == nullptr && rows.size() <= kMostRows &&
           std::ranges::all_of(rows, wants_few);
}

/// Returns how many logits are exact.
size_t multiply_head(const Compute& compute, const ModelConfig& config, const Matrix& head,
                     const LinearInput& input, std::span<const StepRow> rows) {
    const Activations& in = input.form_for(head);
    if (only_largest_wanted(compute, head, in, rows)) {
        LargestLogits largest(compute, config, head, in.row, rows);
        if (largest.estimate() && largest.find_thresholds()) return largest.compute_candidates();
    }
    linear(compute, head, input, {.values = compute.workspace.logits, .stride = head.n_rows},
           rows.size());  // [rows, vocab]
    return rows.size() * head.n_rows;
}

}  // namespace

size_t head_estimate_bytes(const ModelConfig& config, size_t max_wanted) {
    const size_t n_rows = std::min(max_wanted, kMostRows);
    const size_t bounds = align_up(n_rows * blocks_of(config.vocab_size) * sizeof(float));
    return packed_row_bytes(n_rows, config.d_model) + 2 * bounds;
}

size_t head_scratch_bytes() { return kMostRows * kMostDigits * kBlock * sizeof(float); }

size_t compute_logits(const Compute& compute, const ModelConfig& config, const Matrix& head,
                      const LinearInput& input, std::span<const StepRow> rows) noexcept {
    const size_t n_exact = multiply_head(compute, config, head, input, rows);
    if (config.soft_cap == 0) return n_exact;
    constexpr size_t kAtOnce = 4096;
    float* logits = compute.workspace.logits;
    compute.pool.parallel_for(rows.size() * head.n_rows, kAtOnce,
                              [&](size_t begin, size_t end, size_t) noexcept {
                                  compute.kernels.vector->soft_cap(logits + begin, logits + begin,
                                                                   end - begin, config.soft_cap);
                              });
    return n_exact;
}

}  // namespace gemlet
