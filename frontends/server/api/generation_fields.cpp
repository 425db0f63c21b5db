// Ranges are those of server.md section 2.
#include "frontends/server/api/generation_fields.h"

#include <charconv>
#include <limits>
#include <random>

namespace gemlet::server {
namespace {

constexpr int64_t kMostTokens = std::numeric_limits<int32_t>::max();
constexpr int64_t kMostAnswers = 128;

void read_sampling(JsonFields& fields, SamplerOptions& sampling) {
    const auto take = [&](const char* name, double low, double high, float& value) {
        if (const auto given = fields.number(name, low, high)) value = static_cast<float>(*given);
    };
    take("temperature", 0, 2, sampling.temperature);
    take("top_p", 0, 1, sampling.top_p);
    if (sampling.top_p == 0) fields.refuse("top_p", "must be above 0: nothing would be left");
    take("min_p", 0, 1, sampling.min_p);
    take("presence_penalty", -2, 2, sampling.presence_penalty);
    take("frequency_penalty", -2, 2, sampling.frequency_penalty);
    take("repeat_penalty", 0.01, 100, sampling.repetition_penalty);
    if (const auto k = fields.integer("top_k", 0, kMostTokens)) {
        sampling.top_k = static_cast<size_t>(*k);
    }
    constexpr int64_t kAnySeed = std::numeric_limits<int64_t>::min();
    const auto seed = fields.integer("seed", kAnySeed, std::numeric_limits<int64_t>::max());
    sampling.seed = seed ? static_cast<uint64_t>(*seed) : std::random_device()();
}

void read_stops(JsonFields& fields, const Limits& limits, std::vector<std::string>& stops) {
    const Json* stop = fields.find("stop");
    if (stop == nullptr) return;
    const auto add = [&](const Json& text) {
        if (!text.is_string() || text.text.empty()) {
            fields.refuse("stop", "must be a text or a list of texts, none of them empty");
        } else {
            stops.push_back(text.text);
        }
    };
    if (!stop->is_array()) return add(*stop);
    if (stop->items.size() > limits.stops) {
        return fields.refuse("stop", "has too many texts: at most " + std::to_string(limits.stops));
    }
    for (const Json& text : stop->items) add(text);
}

void read_biases(JsonFields& fields, std::vector<std::pair<int32_t, float>>& biases) {
    const Json* given = fields.object("logit_bias");
    if (given == nullptr) return;
    for (const auto& [name, value] : given->members) {
        int32_t id = 0;
        const auto end = std::from_chars(name.data(), name.data() + name.size(), id);
        const bool is_id = end.ec == std::errc() && end.ptr == name.data() + name.size() && id >= 0;
        if (!is_id || !value.is_number() || !(value.number >= -100 && value.number <= 100)) {
            return fields.refuse("logit_bias", "must map token ids to numbers from -100 to 100");
        }
        biases.emplace_back(id, static_cast<float>(value.number));
    }
}

}  // namespace

GenerationFields read_generation(JsonFields& fields, const SamplerOptions& defaults,
                                 const Limits& limits) {
    GenerationFields out;
    out.model = fields.string("model").value_or("");
    out.sampling = defaults;
    read_sampling(fields, out.sampling);
    read_stops(fields, limits, out.stops);
    read_biases(fields, out.biases);
    out.stream = fields.boolean("stream").value_or(false);
    if (const Json* options = fields.object("stream_options")) {
        JsonFields inner(*options, "stream_options.");
        out.include_usage = inner.boolean("include_usage").value_or(false);
        if (!inner.ok()) fields.refuse(inner.error());
    }
    const auto older = fields.integer("max_tokens", 1, kMostTokens);
    const auto newer = fields.integer("max_completion_tokens", 1, kMostTokens);
    out.max_tokens = static_cast<size_t>(newer.value_or(older.value_or(0)));
    out.reuse = fields.boolean("cache_prompt").value_or(true);
    out.n = static_cast<size_t>(fields.integer("n", 1, kMostAnswers).value_or(1));
    return out;
}

}  // namespace gemlet::server
