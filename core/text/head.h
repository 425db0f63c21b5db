// The logits of a step.
#pragma once

#include <cstddef>
#include <span>

#include "core/model/config.h"
#include "core/text/linear.h"
#include "core/text/step.h"

namespace gemlet {

/// Computes the logits of `rows`, which are those of `input`, into workspace.logits
/// [rows, vocab], soft cap included. Where every row asks for its largest logits only
/// (StepRow::n_best) and the matrix takes fixed-point rows, the others are left at estimates below
/// these. Returns how many logits are exact. Allocates nothing.
size_t compute_logits(const Compute& compute, const ModelConfig& config, const Matrix& head,
                      const LinearInput& input, std::span<const StepRow> rows) noexcept;

/// Bytes of workspace.estimates, and of a worker's scratch meanwhile.
size_t head_estimate_bytes(const ModelConfig& config, size_t max_wanted);
size_t head_scratch_bytes();

}  // namespace gemlet
