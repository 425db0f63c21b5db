// How likely the model itself thought a token, whatever the sampler made of that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace gemlet::server {

struct TokenChance {
    int32_t id = 0;
    double logprob = 0;  // natural logarithm of its share; never below kLeastLogprob
};

/// What stands for a share of nothing, as in the OpenAI API: JSON has no infinity.
constexpr double kLeastLogprob = -9999;

struct TokenLogprob {
    TokenChance drawn;
    std::vector<TokenChance> top;  // the likeliest first, of equal ones the lower id
};

/// Log-softmax of the model's logits, before biases, penalties and masks: of `drawn`, and of the
/// `n_top` likeliest tokens. `drawn` is a token of the vocabulary.
TokenLogprob log_probabilities(std::span<const float> logits, int32_t drawn, size_t n_top);

}  // namespace gemlet::server
