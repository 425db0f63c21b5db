// The inside of an engine, seen by sessions only.
#pragma once

#include <memory>

#include "core/engine/engine.h"
#include "core/model/weights.h"
#include "core/text/kv_cache.h"
#include "core/text/rotary.h"
#include "core/text/workspace.h"
#include "core/threads/thread_pool.h"
#include "core/threads/turn_lock.h"
#include "kernels/kernels.h"

namespace gemlet {

struct EngineParts {
    Checkpoint checkpoint;
    EngineOptions options;
    TextWeights weights;
    RotaryTables rotary;
    Kernels kernels;
    IsaSet isas;
    std::unique_ptr<ThreadPool> pool;
    TurnLock one_step;  // the pool runs one step at a time

    /// Longest run of rows a step must take: a picture seen both ways cannot be cut.
    size_t max_rows() const;
    KvCacheShape cache_shape() const;
    WorkspaceShape workspace_shape() const;
};

}  // namespace gemlet
