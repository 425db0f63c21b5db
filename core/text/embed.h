// Rows of the embedding tables: what enters layer 0, and the per-layer inputs.
#pragma once

#include <cstddef>
#include <span>

#include "core/model/config.h"
#include "core/model/weights.h"
#include "core/text/linear.h"
#include "core/text/step.h"

namespace gemlet {

/// Writes the embedding of each row, or its soft token, to out [n_rows, d_model].
void embed_rows(const Compute& compute, const TextWeights& weights, std::span<const StepRow> rows,
                size_t d_model, float* out) noexcept;

/// Fills per-layer inputs of layers [layer_begin, layer_end) for each row:
/// (norm(context * d^-1/2) + table row) / sqrt(2). Shapes: x [n_rows, d_model] as it enters layer
/// 0; out [n_rows, n_layers * ple_width].
void embed_per_layer(const Compute& compute, const ModelConfig& config, const TextWeights& weights,
                     std::span<const StepRow> rows, const float* x, size_t layer_begin,
                     size_t layer_end, float* out) noexcept;

/// Dequantizes columns [0, n_cols) of a table row and applies its factor. Shapes: out [n_cols].
void lookup(const EmbeddingTable& table, size_t row, float* out) noexcept;

/// Asks the system to read the per-layer rows of these tokens now: they lie on disk.
void prefetch_per_layer(const TextWeights& weights, std::span<const StepRow> rows,
                        int32_t pad_id) noexcept;

}  // namespace gemlet
