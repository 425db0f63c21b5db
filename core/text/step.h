// One forward step: a ragged batch of rows, each belonging to some session's KV cache.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/text/kv_cache.h"

namespace gemlet {

/// One row of a step. Rows of the same cache stand together, positions ascending without gaps.
struct StepRow {
    KvCache* cache = nullptr;
    int32_t position = 0;
    int32_t token = 0;            // ignored where soft is set
    const float* soft = nullptr;  // [d_model] soft token, used as it is; else null
    // One past the last position of the picture block this row belongs to (its rows see the whole
    // block in sliding-window layers of models that read pictures both ways); 0 outside pictures.
    int32_t block_end = 0;
    bool wanted = false;  // whether its logits are computed
    // How many of its largest logits are read: these are exact, and others may be left at estimates
    // that lie below them. 0: all are exact.
    size_t n_best = 0;
};

}  // namespace gemlet
