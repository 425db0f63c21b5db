// The forward pass of a ragged batch.
#pragma once

#include <cstddef>
#include <span>

#include "core/model/config.h"
#include "core/model/weights.h"
#include "core/text/linear.h"
#include "core/text/rotary.h"
#include "core/text/step.h"

namespace gemlet {

/// What a forward pass reads and never changes.
struct TextModel {
    const ModelConfig& config;
    const TextWeights& weights;
    const RotaryTables& rotary;
};

/// Runs the decoder over the rows, appends their keys and values to their caches, and leaves the
/// logits of the wanted rows, in order, in workspace.logits [n_wanted, vocab].
/// Rows: at most workspace.shape.max_rows, at most max_wanted of them wanted; token ids and
/// positions were checked by the caller. Threads: one pass at a time per workspace. Allocates
/// nothing. `rows` is reordered in place: after the pass the wanted rows stand first. Returns how
/// many rows were wanted.
size_t forward(const Compute& compute, const TextModel& model, std::span<StepRow> rows) noexcept;

/// Runs one layer by itself: workspace.hidden [n_rows, d] holds the residual stream as it enters
/// the layer, and afterwards as it leaves it. Every row runs, wanted or not; keys and values are
/// appended where the layer owns them. Layers in order give what forward gives. For calibration.
void forward_layer(const Compute& compute, const TextModel& model, std::span<StepRow> rows,
                   size_t index) noexcept;

}  // namespace gemlet
