// One pass for the largest logit and the best tokens, one for the sum.
#include "frontends/server/answer/logprobs.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace gemlet::server {
namespace {

/// A NaN (damaged weights) counts as the least likely.
double logit_of(std::span<const float> logits, int32_t id) {
    const float logit = logits[static_cast<size_t>(id)];
    return std::isnan(logit) ? -std::numeric_limits<double>::infinity()
                             : static_cast<double>(logit);
}

}  // namespace

TokenLogprob log_probabilities(std::span<const float> logits, int32_t drawn, size_t n_top) {
    const auto better = [&](int32_t a, int32_t b) {
        const double logit_a = logit_of(logits, a);
        const double logit_b = logit_of(logits, b);
        return logit_a != logit_b ? logit_a > logit_b : a < b;
    };
    const auto n_tokens = static_cast<int32_t>(logits.size());
    const size_t n_kept = std::min(std::max<size_t>(n_top, 1), logits.size());
    std::vector<int32_t> best;  // a heap, the worst of the kept in front
    best.reserve(n_kept);
    for (int32_t id = 0; id < n_tokens; ++id) {
        if (best.size() < n_kept) {
            best.push_back(id);
            std::push_heap(best.begin(), best.end(), better);
        } else if (better(id, best.front())) {
            std::pop_heap(best.begin(), best.end(), better);
            best.back() = id;
            std::push_heap(best.begin(), best.end(), better);
        }
    }
    std::sort(best.begin(), best.end(), better);
    const double largest = logit_of(logits, best.front());
    double sum = 0;
    for (int32_t id = 0; id < n_tokens; ++id) sum += std::exp(logit_of(logits, id) - largest);
    const double whole = largest + std::log(sum);
    const auto chance = [&](int32_t id) {
        const double logprob = logit_of(logits, id) - whole;
        return TokenChance{id, logprob > kLeastLogprob ? logprob : kLeastLogprob};
    };
    TokenLogprob out = {chance(drawn), {}};
    best.resize(std::min(n_top, best.size()));
    for (const int32_t id : best) out.top.push_back(chance(id));
    return out;
}

}  // namespace gemlet::server
