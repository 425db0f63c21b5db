// Cuts prompts into steps and runs them: the buffers and the rows of one forward step.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "core/engine/engine_parts.h"
#include "core/engine/slot.h"
#include "core/status.h"
#include "core/text/step.h"
#include "core/text/workspace.h"

namespace gemlet {

/// Which rows of an addition want their logits.
enum class Wanted : uint8_t { none, last, all };

class Stepper {
  public:
    /// Takes the buffers. The engine must outlive it. Errors: `out_of_memory`.
    static Result<Stepper> create(EngineParts& engine);

    /// Where a step that begins at `begin` and takes at most `most` rows ends. A picture that the
    /// model sees both ways must lie in one step, so a cut that would fall inside one is moved to
    /// its beginning, or to its end when the step begins with it.
    size_t cut(std::span<const PromptRow> prompt, size_t begin, size_t most) const;
    /// Adds prompt[begin, end) to the next step; `slot` must outlive it and not be added twice.
    /// n_best: as StepRow::n_best.
    void add(Slot& slot, std::span<const PromptRow> prompt, size_t begin, size_t end, Wanted wanted,
             size_t n_best = 0);
    /// Rows added so far.
    size_t n_rows() const { return n_rows_; }
    /// Runs what was added. The logits go to the places from `first_logits` on.
    void run(size_t first_logits = 0);
    /// Logits [vocab] at a place.
    std::span<float> logits(size_t place) const;
    size_t max_wanted() const { return max_wanted_; }

  private:
    bool in_picture(const PromptRow& row) const;
    size_t picture_end(std::span<const PromptRow> prompt, size_t at) const;
    const ModelConfig& config() const { return engine_->checkpoint.config(); }

    EngineParts* engine_ = nullptr;
    Workspace workspace_;
    float* logits_ = nullptr;    // [max_wanted, vocab]
    std::vector<StepRow> rows_;  // [max_rows] of the next step
    size_t n_rows_ = 0;
    size_t max_wanted_ = 0;
};

}  // namespace gemlet
