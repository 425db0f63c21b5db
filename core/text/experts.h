// Mixture of experts: routing, and the chosen experts' feed-forward networks.
#pragma once

#include <cstddef>

#include "core/model/config.h"
#include "core/model/weights.h"
#include "core/text/linear.h"

namespace gemlet {

/// Computes the gain-weighted sum of the chosen experts for each row. Shapes: residual [n_rows, d]
/// (the stream before any feed-forward norm), out [n_rows, d].
void run_experts(const Compute& compute, const ModelConfig& config, const LayerWeights& layer,
                 const float* residual, size_t n_rows, float* out) noexcept;

}  // namespace gemlet
