// With h = M D M^T (M unit upper triangular in the order of rounding) the error of a row is
// sum_t D_t (e_t + sum_{s<t} e_s M_st)^2, so column t is rounded after adding the feedback
// sum_{s<t} e_s M_st of the errors made before: each bracket is then at most half a step. Columns
// go in blocks: the feedback of earlier blocks is one matrix product, that within a block is done
// row by row.
#include "quant/convert/error_feedback.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "quant/convert/linear_algebra.h"
#include "quant/formats/fit.h"

namespace gemlet {
namespace {

constexpr size_t kBlockColumns = 128;
constexpr int kSweeps = 4;  // of single changes; later ones change next to nothing
constexpr int kMaxDampings = 12;
// KL on nano: shares 0, 0.5, 0.6 and 1 gave mobile w4 0.01834, 0.01702, 0.01710 and 0.01854, and
// (0, 0.5, 0.6) q2_k 0.02570, 0.02399 and 0.02463.
constexpr float kDriftShare = 0.5F;
constexpr float kDriftRidge = 0.01F;  // of the mean diagonal

/// Rounds `target` on the grid of one column; returns the code.
int8_t round_to_grid(const CodePanel& panel, size_t row, size_t column, float target,
                     float& quantised) {
    const size_t at = row * panel.n_groups() + column / panel.group;
    const float scale = panel.scales[at];
    const float min = panel.mins != nullptr ? panel.mins[at] : 0.0F;
    const int code = scale == 0.0F ? 0 : nearest_view_code(panel.type, (target + min) / scale);
    quantised = scale * static_cast<float>(code) - min;
    return static_cast<int8_t>(code);
}

/// Errors e = w - q of the panel in the order of rounding, block by block.
class Feedback {
  public:
    Feedback(const InputMoments& moments, ThreadPool& pool, CodePanel& panel)
        : moments_(moments),
          pool_(pool),
          panel_(panel),
          errors_(panel.n_rows * panel.n_cols),
          targets_(panel.n_rows * kBlockColumns) {}

    void run() {
        const size_t k = panel_.n_cols;
        for (size_t begin = 0; begin < k; begin += kBlockColumns) {
            const size_t n = std::min(kBlockColumns, k - begin);
            std::fill(targets_.begin(), targets_.end(), 0.0F);
            if (begin > 0) {
                add_product({errors_.data(), k, moments_.factor.data() + begin, k, targets_.data(),
                             kBlockColumns, panel_.n_rows, begin, n});
            }
            pool_.parallel_for(panel_.n_rows, 8, [&](size_t from, size_t to, size_t) noexcept {
                for (size_t row = from; row < to; ++row) round_block(row, begin, n);
            });
        }
    }

  private:
    void round_block(size_t row, size_t begin, size_t n) {
        const size_t k = panel_.n_cols;
        float* target = targets_.data() + row * kBlockColumns;
        for (size_t t = 0; t < n; ++t) {
            const size_t column = moments_.order[begin + t];
            const float weight = panel_.weights[row * k + column];
            float quantised = 0;
            panel_.codes[row * k + column] =
                round_to_grid(panel_, row, column, weight + target[t], quantised);
            const float error = weight - quantised;
            errors_[row * k + begin + t] = error;
            const float* factor = moments_.factor.data() + (begin + t) * k + begin;
            for (size_t s = t + 1; s < n; ++s) target[s] += error * factor[s];
        }
    }

    const InputMoments& moments_;
    ThreadPool& pool_;
    CodePanel& panel_;
    std::vector<float> errors_;   // [n_rows, k] columns in the order of rounding
    std::vector<float> targets_;  // [n_rows, kBlockColumns]
};

/// Improves codes one at a time, errors and gradients kept up to date.
class Descent {
  public:
    Descent(const InputMoments& moments, ThreadPool& pool, CodePanel& panel)
        : moments_(moments),
          pool_(pool),
          panel_(panel),
          errors_(panel.n_rows * panel.n_cols),
          gradients_(panel.n_rows * panel.n_cols) {}

    void run() {
        const bool row_scales = panel_.group == panel_.n_cols;
        for (int turn = 0; turn < (row_scales ? 3 : 1); ++turn) {
            if (row_scales) solve_row_scales();
            refresh();
            pool_.parallel_for(panel_.n_rows, 1, [&](size_t from, size_t to, size_t) noexcept {
                for (size_t row = from; row < to; ++row) {
                    for (int sweep = 0; sweep < kSweeps && sweep_row(row); ++sweep) {
                    }
                }
            });
        }
    }

  private:
    float weight_of(size_t row, size_t column) const {
        const size_t at = row * panel_.n_groups() + column / panel_.group;
        const float min = panel_.mins != nullptr ? panel_.mins[at] : 0.0F;
        return panel_.scales[at] * static_cast<float>(panel_.codes[row * panel_.n_cols + column]) -
               min;
    }

    /// gradients = errors * h.
    void refresh() {
        const size_t k = panel_.n_cols;
        for (size_t row = 0; row < panel_.n_rows; ++row) {
            for (size_t j = 0; j < k; ++j) {
                errors_[row * k + j] = panel_.weights[row * k + j] - weight_of(row, j);
            }
        }
        std::fill(gradients_.begin(), gradients_.end(), 0.0F);
        add_product({errors_.data(), k, moments_.gram.data(), k, gradients_.data(), k,
                     panel_.n_rows, k, k});
    }

    /// Each row's scale by least squares under h: (w^T h c) / (c^T h c).
    void solve_row_scales() {
        const size_t k = panel_.n_cols;
        for (size_t i = 0; i < panel_.n_rows * k; ++i) {
            errors_[i] = static_cast<float>(panel_.codes[i]);
        }
        std::fill(gradients_.begin(), gradients_.end(), 0.0F);
        add_product({errors_.data(), k, moments_.gram.data(), k, gradients_.data(), k,
                     panel_.n_rows, k, k});
        for (size_t row = 0; row < panel_.n_rows; ++row) {
            double wc = 0;
            double cc = 0;
            for (size_t j = row * k; j < (row + 1) * k; ++j) {
                wc += static_cast<double>(gradients_[j]) * static_cast<double>(panel_.weights[j]);
                cc += static_cast<double>(gradients_[j]) * static_cast<double>(errors_[j]);
            }
            const auto scale = static_cast<float>(wc / cc);
            if (cc > 0 && scale > 1e-30F && std::isfinite(scale)) panel_.scales[row] = scale;
        }
    }

    /// Returns whether anything changed.
    bool sweep_row(size_t row) {
        const size_t k = panel_.n_cols;
        float* errors = errors_.data() + row * k;
        float* gradients = gradients_.data() + row * k;
        bool changed = false;
        for (size_t j = 0; j < k; ++j) {
            const float* h = moments_.gram.data() + j * k;
            const float now = panel_.weights[row * k + j] - errors[j];
            float quantised = 0;
            const int8_t code = round_to_grid(panel_, row, j, now + gradients[j] / h[j], quantised);
            if (code == panel_.codes[row * k + j]) continue;
            const float change = quantised - now;
            // What rounding alone would call a tie must really gain.
            if (!(change * change * h[j] < 1.999F * change * gradients[j])) continue;
            panel_.codes[row * k + j] = code;
            errors[j] -= change;
            for (size_t i = 0; i < k; ++i) gradients[i] -= change * h[i];
            changed = true;
        }
        return changed;
    }

    const InputMoments& moments_;
    ThreadPool& pool_;
    CodePanel& panel_;
    std::vector<float> errors_;     // [n_rows, k]
    std::vector<float> gradients_;  // [n_rows, k]
};

/// drift (h + ridge)^-1, of which a share is used: the rest would follow the calibration's noise.
void prepare_drift(InputMoments& moments) {
    if (moments.drift.empty()) return;
    const size_t k = moments.k;
    float mean = 0;
    for (const float x : moments.diagonal) mean += x / static_cast<float>(k);
    std::vector<float> h = moments.gram;  // damped already, lower triangle
    for (size_t i = 0; i < k; ++i) h[i * k + i] += kDriftRidge * mean;
    if (!solve_right(h.data(), k, moments.drift.data())) moments.drift = {};
    for (float& x : moments.drift) x *= kDriftShare;
}

}  // namespace

bool prepare_moments(InputMoments& moments, float damping, bool keep_gram) {
    const size_t k = moments.k;
    moments.diagonal.resize(k);
    double mean = 0;
    for (size_t i = 0; i < k; ++i) {
        moments.diagonal[i] = moments.gram[i * k + i];
        mean += static_cast<double>(moments.diagonal[i]) / static_cast<double>(k);
    }
    if (!std::isfinite(mean) || !(mean > 0)) return false;
    moments.order.resize(k);
    std::iota(moments.order.begin(), moments.order.end(), 0U);
    std::ranges::stable_sort(moments.order, [&](uint32_t a, uint32_t b) {
        return moments.diagonal[a] > moments.diagonal[b];
    });
    moments.factor.resize(k * k);
    auto share = static_cast<double>(damping);
    for (int attempt = 0; attempt < kMaxDampings; ++attempt, share *= 4) {
        for (size_t i = 0; i < k; ++i) {
            moments.gram[i * k + i] = moments.diagonal[i] + static_cast<float>(share * mean);
        }
        if (!factor_in_order(moments.gram.data(), k, moments.order, moments.factor.data())) {
            continue;
        }
        prepare_drift(moments);
        if (keep_gram) {
            mirror_lower(moments.gram.data(), k);
        } else {
            moments.gram = {};
        }
        return true;
    }
    return false;
}

void compensate(const InputMoments& moments, ThreadPool& pool, CodePanel& panel) {
    Feedback(moments, pool, panel).run();
    if (!moments.gram.empty()) Descent(moments, pool, panel).run();
}

}  // namespace gemlet
