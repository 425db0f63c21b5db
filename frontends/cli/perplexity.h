// What the two forms of gemlet perplexity share: the text as tokens, the field's rule for which
// positions count, and probabilities from logits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/engine/session.h"
#include "frontends/cli/commands.h"

namespace gemlet {

/// Rows of logits kept in memory at once.
constexpr size_t kPerplexityRows = 64;

/// A text to measure over, cut into windows that begin with `bos`.
struct MeasuredText {
    std::vector<PromptRow> rows;
    int32_t bos = 0;
    size_t window = 0;

    size_t n_windows() const { return rows.size() / window; }
    /// The rows of a window, its first token replaced by BOS.
    std::span<const PromptRow> begin_window(size_t index);
    /// Whether the prediction made at a position of a window counts: those of its second half.
    bool counts(size_t position) const { return position >= window / 2 && position + 1 < window; }
};

/// Reads and tokenizes options.file with the model's vocabulary. Errors: `bad_argument` when it is
/// shorter than a window; those of opening the file and the tokenizer.
Result<MeasuredText> read_measured_text(const Options& options, const Engine& engine);

/// log(sum(exp(logits))).
double log_sum_exp(std::span<const float> logits);

/// Options of an engine for measuring.
EngineOptions perplexity_engine_options(const Options& options);

/// Measures options.file under two models and prints how the second departs from the first.
Failure compare_perplexity(const Options& options);

}  // namespace gemlet
