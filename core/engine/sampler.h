// From logits to one token id.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/status.h"

namespace gemlet {

/// Sampling settings. Order of application: suppressed ids, penalties, top-k, top-p, min-p,
/// temperature, draw. Temperature 0 takes the largest logit (ties: the lower id).
struct SamplerOptions {
    float temperature = 1.0F;
    size_t top_k = 64;  // 0: all
    float top_p = 0.95F;
    float min_p = 0.0F;
    float repetition_penalty = 1.0F;
    float presence_penalty = 0.0F;
    float frequency_penalty = 0.0F;
    uint64_t seed = 0;
};

/// How many of the largest logits decide what is drawn when `n_suppressed` ids never are; 0: all.
/// Masks and biases come on top of these settings: with them all logits decide.
size_t n_deciding(const SamplerOptions& options, size_t n_suppressed);

/// Checks ranges. Errors: `bad_argument` naming the option.
Status check_sampler_options(const SamplerOptions& options);

/// Owns the random state and room for one distribution; allocates nothing after creation.
class Sampler {
  public:
    /// `suppressed` ids are never drawn; ids outside the vocabulary are ignored.
    Sampler(size_t vocab_size, const SamplerOptions& options, std::span<const int32_t> suppressed);

    /// Returns the next token. Shape: logits [vocab]. Does not count the token: see accept.
    /// `allowed`, when not empty, is a bit per id (LSB first); ids whose bit is clear are not
    /// drawn.
    int32_t sample(std::span<const float> logits, std::span<const uint32_t> allowed = {}) noexcept;
    /// Counts a token for the penalties.
    void accept(int32_t token) noexcept;
    /// Forgets counted tokens and starts the random sequence again.
    void reset() noexcept;

  private:
    struct Candidate {
        float logit;
        int32_t id;
    };
    float adjusted(size_t id, float logit) const noexcept;
    size_t collect(std::span<const float> logits, std::span<const uint32_t> allowed) noexcept;
    size_t cut_top_p(size_t n) noexcept;
    double next_uniform() noexcept;

    SamplerOptions options_;
    std::vector<Candidate> candidates_;  // [vocab]
    std::vector<int32_t> counts_;        // [vocab] occurrences of accepted tokens
    std::vector<bool> suppressed_;       // [vocab]
    bool has_penalties_;
    uint64_t random_state_;
};

}  // namespace gemlet
