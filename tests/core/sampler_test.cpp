// The sampler against a plain implementation of its steps, and its draws against the distribution.
#include "core/engine/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

namespace gemlet {
namespace {

constexpr size_t kVocab = 50;

std::vector<float> some_logits(uint32_t seed, size_t n = kVocab) {
    std::vector<float> out(n);
    uint32_t state = seed * 2654435761U + 1;
    for (float& logit : out) {
        state = state * 1664525U + 1013904223U;
        logit = static_cast<float>(state >> 20U) / 512.0F - 4.0F;
    }
    return out;
}

SamplerOptions open_options() {
    SamplerOptions options;
    options.top_k = 0;
    options.top_p = 1;
    return options;
}

/// What may be drawn, and how likely it is: every step spelled out over the whole vocabulary.
std::map<int32_t, double> reference(std::span<const float> logits, const SamplerOptions& options,
                                    const std::vector<int32_t>& seen = {},
                                    const std::vector<int32_t>& suppressed = {}) {
    std::vector<std::pair<double, int32_t>> candidates;
    for (size_t id = 0; id < logits.size(); ++id) {
        const auto token = static_cast<int32_t>(id);
        if (std::count(suppressed.begin(), suppressed.end(), token) != 0) continue;
        float logit = logits[id];
        const auto count = std::count(seen.begin(), seen.end(), token);
        if (count > 0) {
            logit =
                logit > 0 ? logit / options.repetition_penalty : logit * options.repetition_penalty;
            logit = logit - options.presence_penalty -
                    options.frequency_penalty * static_cast<float>(count);
        }
        candidates.emplace_back(-static_cast<double>(logit), token);
    }
    std::sort(candidates.begin(), candidates.end());  // best first, ties: the lower id
    if (options.top_k != 0) candidates.resize(std::min(candidates.size(), options.top_k));
    const auto weights_at = [&](double temperature) {
        std::vector<double> out;
        for (const auto& [negative, id] : candidates) {
            out.push_back(std::exp((candidates[0].first - negative) / temperature));
        }
        const double total = std::accumulate(out.begin(), out.end(), 0.0);
        for (double& weight : out) weight /= total;
        return out;
    };
    std::vector<double> p = weights_at(1);
    size_t kept = 0;
    for (double sum = 0; kept < p.size() && (kept == 0 || sum < static_cast<double>(options.top_p));
         ++kept) {
        sum += p[kept];
    }
    while (kept > 1 && p[kept - 1] < static_cast<double>(options.min_p) * p[0]) --kept;
    candidates.resize(kept);
    const double temperature = static_cast<double>(options.temperature);
    if (options.temperature == 0) return {{candidates[0].second, 1.0}};
    p = weights_at(temperature);
    std::map<int32_t, double> out;
    for (size_t i = 0; i < kept; ++i) out[candidates[i].second] = p[i];
    return out;
}

/// Draws often and compares with the distribution: nothing outside it, and chi-square within five
/// standard deviations of its mean.
void expect_distribution(Sampler& sampler, std::span<const float> logits,
                         const std::map<int32_t, double>& expected) {
    constexpr size_t kDraws = 20000;
    std::map<int32_t, size_t> drawn;
    for (size_t i = 0; i < kDraws; ++i) ++drawn[sampler.sample(logits)];
    for (const auto& [id, n] : drawn) EXPECT_EQ(expected.count(id), 1U) << id << " drawn " << n;
    double chi_square = 0;
    double rare_expected = 0;
    double rare_drawn = 0;
    double n_cells = 0;
    for (const auto& [id, p] : expected) {
        const double mean = p * kDraws;
        const auto n = static_cast<double>(drawn[id]);
        if (mean < 10) {  // too few for the statistic: counted together
            rare_expected += mean;
            rare_drawn += n;
            continue;
        }
        chi_square += (n - mean) * (n - mean) / mean;
        ++n_cells;
    }
    if (rare_expected >= 10) {
        chi_square += (rare_drawn - rare_expected) * (rare_drawn - rare_expected) / rare_expected;
        ++n_cells;
    }
    EXPECT_LE(chi_square, n_cells + 5 * std::sqrt(2 * n_cells));
}

TEST(Sampler, draws_from_the_softmax) {
    const auto logits = some_logits(1);
    Sampler sampler(kVocab, open_options(), {});
    expect_distribution(sampler, logits, reference(logits, open_options()));
}

TEST(Sampler, takes_its_steps_in_order) {
    struct Case {
        float temperature;
        size_t top_k;
        float top_p;
        float min_p;
    };
    const Case cases[] = {{1, 5, 1, 0},      {1, 0, 0.5F, 0},         {1, 0, 1, 0.2F},
                          {2, 10, 0.8F, 0},  {0.3F, 0, 0.9F, 0},      {3, 0, 0.7F, 0.1F},
                          {1, 64, 0.95F, 0}, {0.7F, 20, 0.9F, 0.05F}, {1, 0, 0, 0},
                          {1, 0, 1, 1}};
    for (const Case& c : cases) {
        SamplerOptions options = open_options();
        options.temperature = c.temperature;
        options.top_k = c.top_k;
        options.top_p = c.top_p;
        options.min_p = c.min_p;
        options.seed = 3;
        SCOPED_TRACE(testing::Message() << "t " << c.temperature << " k " << c.top_k << " p "
                                        << c.top_p << " min " << c.min_p);
        for (const uint32_t seed : {2U, 3U}) {
            const auto logits = some_logits(seed);
            Sampler sampler(kVocab, options, {});
            expect_distribution(sampler, logits, reference(logits, options));
        }
    }
}

TEST(Sampler, penalties_push_down_what_was_said) {
    SamplerOptions options = open_options();
    options.repetition_penalty = 1.5F;
    options.presence_penalty = 0.5F;
    options.frequency_penalty = 0.25F;
    auto logits = some_logits(4);
    logits[3] = 4;
    logits[4] = -0.5F;
    const std::vector<int32_t> seen = {3, 3, 3, 4, 10};
    Sampler sampler(kVocab, options, {});
    for (const int32_t id : seen) sampler.accept(id);
    sampler.accept(-1);
    sampler.accept(static_cast<int32_t>(kVocab));
    expect_distribution(sampler, logits, reference(logits, options, seen));
    sampler.reset();
    expect_distribution(sampler, logits, reference(logits, options));
}

TEST(Sampler, a_penalty_below_one_pulls_up) {
    SamplerOptions options = open_options();
    options.repetition_penalty = 0.5F;
    options.temperature = 0;
    Sampler sampler(3, options, {});
    const std::vector<float> logits = {1.0F, 0.6F, -1.0F};
    EXPECT_EQ(sampler.sample(logits), 0);
    sampler.accept(1);
    EXPECT_EQ(sampler.sample(logits), 1);
}

TEST(Sampler, temperature_zero_takes_the_best_and_the_lower_id_of_equals) {
    SamplerOptions options;
    options.temperature = 0;
    options.top_p = 0;
    Sampler sampler(5, options, {});
    EXPECT_EQ(sampler.sample(std::vector<float>{1, 3, 2, 3, 0}), 1);
    const int32_t suppressed[] = {1, 77, -5};
    Sampler without(5, options, suppressed);
    EXPECT_EQ(without.sample(std::vector<float>{1, 3, 2, 3, 0}), 3);
}

TEST(Sampler, top_k_keeps_the_lower_ids_of_equals) {
    SamplerOptions options = open_options();
    options.top_k = 3;
    Sampler sampler(8, options, {});
    const std::vector<float> logits(8, 1.5F);
    expect_distribution(sampler, logits, {{0, 1.0 / 3}, {1, 1.0 / 3}, {2, 1.0 / 3}});
}

TEST(Sampler, knows_how_many_logits_decide) {
    SamplerOptions options;
    EXPECT_EQ(n_deciding(options, 3), options.top_k + 3);
    options.top_k = 0;
    EXPECT_EQ(n_deciding(options, 3), 0U);
    options.temperature = 0;
    EXPECT_EQ(n_deciding(options, 3), 4U);
    options.presence_penalty = 0.5F;
    EXPECT_EQ(n_deciding(options, 3), 0U) << "a penalty may bring any other to the front";
}

TEST(Sampler, never_draws_what_is_suppressed_or_not_allowed) {
    const auto logits = some_logits(5);
    const int32_t suppressed[] = {0, 7, 49};
    Sampler sampler(kVocab, open_options(), suppressed);
    expect_distribution(sampler, logits, reference(logits, open_options(), {}, {0, 7, 49}));
    const uint32_t allowed[] = {1U << 7U | 1U << 9U | 1U << 31U, 1U << 2U};
    std::map<int32_t, size_t> drawn;
    for (size_t i = 0; i < 2000; ++i) ++drawn[sampler.sample(logits, allowed)];
    for (const auto& [id, n] : drawn) EXPECT_TRUE(id == 9 || id == 31 || id == 34) << id;
    EXPECT_EQ(drawn.size(), 3U);
}

TEST(Sampler, the_same_seed_gives_the_same_ids) {
    SamplerOptions options;
    options.seed = 1234;
    const auto draw = [](Sampler& sampler) {
        std::vector<int32_t> out;
        for (uint32_t i = 0; i < 50; ++i) out.push_back(sampler.sample(some_logits(i)));
        return out;
    };
    Sampler a(kVocab, options, {});
    Sampler b(kVocab, options, {});
    const auto first = draw(a);
    EXPECT_EQ(draw(b), first);
    EXPECT_NE(draw(a), first);  // the sequence goes on
    a.reset();
    EXPECT_EQ(draw(a), first);
    options.seed = 1235;
    Sampler c(kVocab, options, {});
    EXPECT_NE(draw(c), first);
}

TEST(Sampler, logits_that_are_not_numbers_do_no_harm) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const float infinity = std::numeric_limits<float>::infinity();
    for (const float fill : {nan, infinity, -infinity}) {
        for (const float temperature : {0.0F, 1.0F}) {
            SamplerOptions options = open_options();
            options.temperature = temperature;
            Sampler sampler(kVocab, options, {});
            std::vector<float> logits(kVocab, fill);
            for (size_t i = 0; i < 20; ++i) {
                const int32_t id = sampler.sample(logits);
                EXPECT_GE(id, 0);
                EXPECT_LT(id, static_cast<int32_t>(kVocab));
                logits[i] = static_cast<float>(i);
            }
        }
    }
    Sampler greedy(3,
                   [] {
                       SamplerOptions options;
                       options.temperature = 0;
                       return options;
                   }(),
                   {});
    EXPECT_EQ(greedy.sample(std::vector<float>{nan, -2, nan}), 1);
}

TEST(Sampler, options_out_of_range_are_named) {
    const auto fault = [](auto change) {
        SamplerOptions options;
        change(options);
        return std::string(check_sampler_options(options).subject());
    };
    const float nan = std::numeric_limits<float>::quiet_NaN();
    EXPECT_TRUE(check_sampler_options({}).ok());
    EXPECT_EQ(fault([](SamplerOptions& o) { o.temperature = -0.1F; }), "temperature");
    EXPECT_EQ(fault([nan](SamplerOptions& o) { o.temperature = nan; }), "temperature");
    EXPECT_EQ(fault([](SamplerOptions& o) { o.top_p = 1.1F; }), "top_p");
    EXPECT_EQ(fault([](SamplerOptions& o) { o.min_p = -1; }), "min_p");
    EXPECT_EQ(fault([](SamplerOptions& o) { o.repetition_penalty = 0; }), "repetition_penalty");
    EXPECT_EQ(fault([](SamplerOptions& o) { o.presence_penalty = 1e9F; }), "presence_penalty");
    EXPECT_EQ(fault([nan](SamplerOptions& o) { o.frequency_penalty = nan; }), "frequency_penalty");
}

}  // namespace
}  // namespace gemlet
