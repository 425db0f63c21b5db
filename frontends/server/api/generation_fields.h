// What chat and plain completions have in common: how to draw, when to stop, what to report.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/engine/sampler.h"
#include "frontends/server/api/json_fields.h"
#include "frontends/server/api/limits.h"

namespace gemlet::server {

constexpr int64_t kMostLogprobs = 20;

struct GenerationFields {
    std::string model;  // as the client called it; echoed
    SamplerOptions sampling;
    std::vector<std::pair<int32_t, float>> biases;  // added to the logits of these ids
    std::vector<std::string> stops;
    size_t max_tokens = 0;  // 0: to the end of the context
    bool stream = false;
    bool include_usage = false;
    bool reuse = true;                 // cache_prompt
    size_t n = 1;                      // answers
    std::optional<size_t> n_logprobs;  // alternatives of every token
};

/// Reads the fields; what is wrong is refused through `fields`. `defaults` are the model's own.
GenerationFields read_generation(JsonFields& fields, const SamplerOptions& defaults,
                                 const Limits& limits);

}  // namespace gemlet::server
