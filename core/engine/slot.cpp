// A ring of n slots holds the last n positions written; going back to a position works as long as
// the window before it is still there.
#include "core/engine/slot.h"

#include <algorithm>

#include "core/engine/engine_parts.h"

namespace gemlet {

Result<Slot> Slot::create(const EngineParts& engine) {
    Result<KvCache> cache =
        KvCache::create(engine.checkpoint.config(), engine.weights, engine.cache_shape());
    GEMLET_TRY(cache);
    Slot slot;
    slot.cache = std::move(*cache);
    return slot;
}

Status Slot::check(const EngineParts& engine, std::span<const PromptRow> prompt) const {
    if (prompt.size() > engine.options.context - size) {
        return {StatusCode::context_full, "prompt and answer do not fit the context length",
                "--context", static_cast<int64_t>(engine.options.context)};
    }
    const size_t vocab_size = engine.checkpoint.config().vocab_size;
    for (const PromptRow& row : prompt) {
        if (row.token < 0 || static_cast<size_t>(row.token) >= vocab_size) {
            return {StatusCode::bad_argument, "token id is outside the vocabulary", {}, row.token};
        }
    }
    return {};
}

Status Slot::truncate(const ModelConfig& config, size_t to) {
    if (to > size) {
        return {StatusCode::bad_argument,
                "cannot forget positions that are not there",
                {},
                static_cast<int64_t>(to)};
    }
    const size_t window = config.window - 1;  // positions before `to` that its row looks at
    const size_t needed_from = to > window ? to - window : 0;
    for (size_t i = 0; i < config.n_owning_layers; ++i) {
        if (to == 0 || config.layers[i].is_global) continue;
        if (furthest > needed_from + cache.layer(i).n_slots) {
            return {StatusCode::bad_argument,
                    "the sliding windows no longer reach back that far",
                    {},
                    static_cast<int64_t>(to)};
        }
    }
    size = to;
    if (to == 0) furthest = 0;
    return {};
}

void Slot::copy_from(const Slot& other) {
    cache.copy_from(other.cache, other.furthest);
    size = other.size;
    furthest = other.furthest;
}

}  // namespace gemlet
