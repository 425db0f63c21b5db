// Attention of a step's rows over their caches: splits rows and heads into tasks for the workers.
#pragma once

#include <cstddef>
#include <span>

#include "core/model/config.h"
#include "core/text/linear.h"
#include "core/text/step.h"

namespace gemlet {

/// Attends with queries q [n_rows, n_heads * head_dim] of layer `index` (or its donor's cache) and
/// writes out, same shape. Keys and values of all rows are in the caches already.
void attend(const Compute& compute, const ModelConfig& config, size_t index,
            std::span<const StepRow> rows, const float* q, float* out) noexcept;

/// Scratch bytes a worker needs for attend.
size_t attend_scratch_bytes(const ModelConfig& config);
/// Floats of Workspace::together that attend needs for so many positions.
size_t attend_together_floats(const ModelConfig& config, size_t context);

}  // namespace gemlet
