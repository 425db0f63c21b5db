// Top-k keeps a heap of the best k while it reads the logits once; everything after works on those.
// Random numbers: splitmix64 (Steele, Lea, Flood 2014), so that a seed gives the same text on every
// machine.
#include "core/engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace gemlet {
namespace {

bool in_range(float value, float low, float high) {
    return std::isfinite(value) && value >= low && value <= high;
}

bool has_penalties(const SamplerOptions& options) {
    return options.repetition_penalty != 1.0F || options.presence_penalty != 0.0F ||
           options.frequency_penalty != 0.0F;
}

}  // namespace

Status check_sampler_options(const SamplerOptions& options) {
    const auto bad = [](const char* name) {
        return Status(StatusCode::bad_argument, "out of range", name);
    };
    if (!in_range(options.temperature, 0, 100)) return bad("temperature");
    if (!in_range(options.top_p, 0, 1)) return bad("top_p");
    if (!in_range(options.min_p, 0, 1)) return bad("min_p");
    if (!in_range(options.repetition_penalty, 0.01F, 100)) return bad("repetition_penalty");
    if (!in_range(options.presence_penalty, -100, 100)) return bad("presence_penalty");
    if (!in_range(options.frequency_penalty, -100, 100)) return bad("frequency_penalty");
    return {};
}

size_t n_deciding(const SamplerOptions& options, size_t n_suppressed) {
    if (has_penalties(options)) return 0;
    const size_t n_kept = options.temperature == 0 ? 1 : options.top_k;
    return n_kept == 0 ? 0 : n_kept + n_suppressed;
}

Sampler::Sampler(size_t vocab_size, const SamplerOptions& options,
                 std::span<const int32_t> suppressed)
    : options_(options),
      candidates_(vocab_size),
      counts_(vocab_size),
      suppressed_(vocab_size),
      has_penalties_(has_penalties(options)),
      random_state_(options.seed) {
    for (const int32_t id : suppressed) {
        if (id >= 0 && static_cast<size_t>(id) < vocab_size)
            suppressed_[static_cast<size_t>(id)] = true;
    }
}

void Sampler::accept(int32_t token) noexcept {
    if (token >= 0 && static_cast<size_t>(token) < counts_.size()) {
        ++counts_[static_cast<size_t>(token)];
    }
}

void Sampler::reset() noexcept {
    std::fill(counts_.begin(), counts_.end(), 0);
    random_state_ = options_.seed;
}

/// The logit after penalties. A NaN (damaged weights) counts as the least likely, so that every two
/// candidates can be compared.
float Sampler::adjusted(size_t id, float logit) const noexcept {
    if (has_penalties_ && counts_[id] != 0) {
        logit =
            logit > 0 ? logit / options_.repetition_penalty : logit * options_.repetition_penalty;
        logit -= options_.presence_penalty +
                 options_.frequency_penalty * static_cast<float>(counts_[id]);
    }
    return std::isnan(logit) ? -std::numeric_limits<float>::infinity() : logit;
}

/// Fills candidates_ with the best ones, best first; returns how many.
size_t Sampler::collect(std::span<const float> logits, std::span<const uint32_t> allowed) noexcept {
    const auto better = [](const Candidate& a, const Candidate& b) {
        return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
    };
    const size_t vocab = std::min(logits.size(), candidates_.size());
    const size_t wanted = options_.temperature == 0 ? 1 : options_.top_k;
    const size_t most = wanted == 0 ? vocab : std::min(wanted, vocab);
    const auto begin = candidates_.begin();
    size_t n = 0;
    for (size_t id = 0; id < vocab; ++id) {
        if (suppressed_[id]) continue;
        if (!allowed.empty() && (allowed[id / 32] >> (id % 32) & 1U) == 0) continue;
        const Candidate candidate{adjusted(id, logits[id]), static_cast<int32_t>(id)};
        if (n < most) {
            candidates_[n++] = candidate;
            // The worst of the kept stands in front of the heap.
            if (n == most) std::make_heap(begin, begin + static_cast<ptrdiff_t>(n), better);
        } else if (better(candidate, candidates_[0])) {
            std::pop_heap(begin, begin + static_cast<ptrdiff_t>(n), better);
            candidates_[n - 1] = candidate;
            std::push_heap(begin, begin + static_cast<ptrdiff_t>(n), better);
        }
    }
    std::sort(begin, begin + static_cast<ptrdiff_t>(n), better);
    return n;
}

/// Shortens the sorted candidates by top-p, then by min-p.
size_t Sampler::cut_top_p(size_t n) noexcept {
    const float best = candidates_[0].logit;
    const auto weight = [best](const Candidate& c) {
        return std::exp(static_cast<double>(c.logit) - static_cast<double>(best));
    };
    double total = 0;
    for (size_t i = 0; i < n; ++i) total += weight(candidates_[i]);
    size_t kept = n;
    if (options_.top_p < 1) {
        double sum = 0;
        for (kept = 0; kept < n;) {
            sum += weight(candidates_[kept++]);
            if (sum >= static_cast<double>(options_.top_p) * total) break;
        }
    }
    // Relative to the best, whose weight is 1.
    while (kept > 1 && weight(candidates_[kept - 1]) < static_cast<double>(options_.min_p)) --kept;
    return kept;
}

double Sampler::next_uniform() noexcept {
    random_state_ += 0x9E3779B97F4A7C15ULL;
    uint64_t z = random_state_;
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EBULL;
    z ^= z >> 31U;
    return static_cast<double>(z >> 11U) * 0x1.0p-53;
}

int32_t Sampler::sample(std::span<const float> logits, std::span<const uint32_t> allowed) noexcept {
    size_t n = collect(logits, allowed);
    if (n == 0) return 0;
    // A best of minus infinity leaves no distribution to draw from.
    if (n == 1 || options_.temperature == 0 || !std::isfinite(candidates_[0].logit)) {
        return candidates_[0].id;
    }
    n = cut_top_p(n);
    const double best = static_cast<double>(candidates_[0].logit);
    const double temperature = static_cast<double>(options_.temperature);
    const auto weight = [&](const Candidate& c) {
        return std::exp((static_cast<double>(c.logit) - best) / temperature);
    };
    double total = 0;
    for (size_t i = 0; i < n; ++i) total += weight(candidates_[i]);
    double left = next_uniform() * total;
    for (size_t i = 0; i + 1 < n; ++i) {
        left -= weight(candidates_[i]);
        if (left < 0) return candidates_[i].id;
    }
    return candidates_[n - 1].id;
}

}  // namespace gemlet
