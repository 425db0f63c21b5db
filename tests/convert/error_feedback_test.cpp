// The factorization is one, and rounding with it leaves less of the layer's error than rounding
// alone, for inputs that are correlated.
#include "quant/convert/error_feedback.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "quant/convert/linear_algebra.h"
#include "quant/formats/fit.h"

namespace gemlet {
namespace {

constexpr size_t kCols = 160;  // more than a block of columns
constexpr size_t kRows = 24;

/// Inputs in which every column resembles its neighbours.
std::vector<float> inputs(size_t n_rows, uint32_t seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    std::vector<float> x(n_rows * kCols);
    for (size_t row = 0; row < n_rows; ++row) {
        float walk = 0;
        for (size_t j = 0; j < kCols; ++j) {
            walk = 0.9F * walk + normal(random);
            x[row * kCols + j] = walk * (1.0F + 0.02F * static_cast<float>(j));
        }
    }
    return x;
}

InputMoments moments_of(const std::vector<float>& x) {
    InputMoments moments;
    moments.k = kCols;
    moments.gram.resize(kCols * kCols);
    add_gram(x.data(), kCols, x.size() / kCols, kCols, moments.gram.data());
    return moments;
}

/// Mean square of x (w - q) over all rows of x and w.
double output_error(const std::vector<float>& x, const std::vector<float>& w,
                    const CodePanel& panel) {
    double total = 0;
    for (size_t row = 0; row < panel.n_rows; ++row) {
        for (size_t t = 0; t < x.size() / kCols; ++t) {
            double sum = 0;
            for (size_t j = 0; j < kCols; ++j) {
                const float q = panel.scales[row * panel.n_groups() + j / panel.group] *
                                static_cast<float>(panel.codes[row * kCols + j]);
                sum += static_cast<double>(x[t * kCols + j]) *
                       static_cast<double>(w[row * kCols + j] - q);
            }
            total += sum * sum;
        }
    }
    return total;
}

TEST(LinearAlgebra, factor_gives_the_matrix_back) {
    if (!have_linear_algebra()) GTEST_SKIP() << "built without GEMLET_QUANT";
    InputMoments moments = moments_of(inputs(400, 1));
    const std::vector<float> gram = moments.gram;
    std::vector<uint32_t> order(kCols);
    for (size_t i = 0; i < kCols; ++i) order[i] = static_cast<uint32_t>((i * 37 + 5) % kCols);
    std::vector<float> m(kCols * kCols);
    ASSERT_TRUE(factor_in_order(gram.data(), kCols, order, m.data()));
    const auto h = [&](size_t a, size_t b) {
        return static_cast<double>(a >= b ? gram[a * kCols + b] : gram[b * kCols + a]);
    };
    // M^-1 h M^-T is diagonal: eliminate from the last column on, in doubles.
    std::vector<double> rest(kCols * kCols);
    for (size_t i = 0; i < kCols; ++i) {
        for (size_t j = 0; j < kCols; ++j) rest[i * kCols + j] = h(order[i], order[j]);
    }
    for (size_t t = kCols; t-- > 0;) {
        const double d = rest[t * kCols + t];
        for (size_t s = 0; s < t; ++s) {
            EXPECT_NEAR(static_cast<double>(m[s * kCols + t]), rest[s * kCols + t] / d, 2e-3);
            EXPECT_EQ(m[t * kCols + s], 0.0F);
        }
        for (size_t a = 0; a < t; ++a) {
            for (size_t b = 0; b < t; ++b) {
                rest[a * kCols + b] -= rest[a * kCols + t] * rest[t * kCols + b] / d;
            }
        }
    }
}

TEST(ErrorFeedback, lowers_the_error_of_the_layer) {
    if (!have_linear_algebra()) GTEST_SKIP() << "built without GEMLET_QUANT";
    const std::vector<float> x = inputs(400, 2);
    std::mt19937 random(3);
    std::normal_distribution<float> normal;
    std::vector<float> w(kRows * kCols);
    for (float& value : w) value = normal(random);
    ThreadPoolOptions options;
    options.n_threads = 2;
    Result<std::unique_ptr<ThreadPool>> pool = ThreadPool::create(options);
    ASSERT_TRUE(pool.has_value());
    for (const bool keep_gram : {false, true}) {
        InputMoments moments = moments_of(x);
        ASSERT_TRUE(prepare_moments(moments, 0.01F, keep_gram));
        EXPECT_EQ(moments.gram.empty(), !keep_gram);
        std::vector<int8_t> codes(kRows * kCols);
        std::vector<float> scales(kRows);
        for (size_t row = 0; row < kRows; ++row) {
            scales[row] = fit_codes(WeightType::i4r, w.data() + row * kCols,
                                    moments.diagonal.data(), kCols, codes.data() + row * kCols);
        }
        CodePanel panel{WeightType::i4r, kRows,        kCols,        kCols,
                        w.data(),        codes.data(), scales.data()};
        const double before = output_error(x, w, panel);
        compensate(moments, **pool, panel);
        const double after = output_error(x, w, panel);
        EXPECT_LT(after, before / (keep_gram ? 3 : 2));
    }
}

TEST(ErrorFeedback, copes_with_inputs_that_never_occur) {
    if (!have_linear_algebra()) GTEST_SKIP() << "built without GEMLET_QUANT";
    InputMoments none;
    none.k = kCols;
    none.gram.resize(kCols * kCols);
    EXPECT_FALSE(prepare_moments(none, 0.01F, true));
    InputMoments few = moments_of(inputs(2, 4));  // rank 2
    EXPECT_TRUE(prepare_moments(few, 0.01F, true));
    InputMoments broken = moments_of(inputs(2, 4));
    broken.gram[0] = NAN;
    EXPECT_FALSE(prepare_moments(broken, 0.01F, true));
}

TEST(ErrorFeedback, weights_make_up_for_inputs_that_drifted) {
    if (!have_linear_algebra()) GTEST_SKIP() << "built without GEMLET_QUANT";
    constexpr size_t kInputs = 600;
    const std::vector<float> exact = inputs(kInputs, 3);
    // Layers in front lose a fifth of some columns and leak into their neighbours.
    std::vector<float> drifted = exact;
    std::vector<float> lost(exact.size());
    for (size_t i = 0; i + 1 < exact.size(); ++i) {
        if (i % kCols % 3 == 0) drifted[i] = 0.8F * exact[i] + 0.1F * exact[i + 1];
    }
    for (size_t i = 0; i < exact.size(); ++i) lost[i] = exact[i] - drifted[i];
    InputMoments moments = moments_of(drifted);
    moments.drift.resize(kCols * kCols);
    add_cross(lost.data(), kCols, drifted.data(), kCols, kInputs, kCols, moments.drift.data());
    ASSERT_TRUE(prepare_moments(moments, 1e-4F, true));
    ASSERT_EQ(moments.drift.size(), kCols * kCols);
    // drift maps what is there to an estimate of what was lost.
    std::vector<float> made_up(exact.size());
    std::vector<float> transposed(kCols * kCols);
    for (size_t i = 0; i < kCols; ++i) {
        for (size_t j = 0; j < kCols; ++j) transposed[j * kCols + i] = moments.drift[i * kCols + j];
    }
    add_product({drifted.data(), kCols, transposed.data(), kCols, made_up.data(), kCols, kInputs,
                 kCols, kCols});
    double before = 0;
    double after = 0;
    for (size_t i = 0; i < exact.size(); ++i) {
        const auto whole = static_cast<double>(lost[i]);
        const double rest = whole - static_cast<double>(made_up[i]);
        before += whole * whole;
        after += rest * rest;
    }
    // Half of a loss that is nearly linear leaves half of it: a quarter of its square.
    EXPECT_LT(after, 0.3 * before);
    EXPECT_GT(after, 0.2 * before);
}

}  // namespace
}  // namespace gemlet
