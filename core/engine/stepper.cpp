// A picture's rows look at each other in both directions in some models; everything about cuts
// follows from that.
#include "core/engine/stepper.h"

#include <algorithm>
#include <mutex>

#include "core/text/forward.h"

namespace gemlet {

Result<Stepper> Stepper::create(EngineParts& engine) {
    Result<Workspace> workspace =
        Workspace::create(engine.checkpoint.config(), engine.workspace_shape());
    GEMLET_TRY(workspace);
    Stepper stepper;
    stepper.engine_ = &engine;
    stepper.workspace_ = std::move(*workspace);
    stepper.logits_ = stepper.workspace_.logits;
    stepper.max_wanted_ = stepper.workspace_.shape.max_wanted;
    stepper.rows_.resize(engine.max_rows());
    return stepper;
}

bool Stepper::in_picture(const PromptRow& row) const {
    return row.soft != nullptr && config().image_bidirectional && row.token != config().audio_id;
}

/// One past the picture that covers `at`; `at` itself when it is in none.
size_t Stepper::picture_end(std::span<const PromptRow> prompt, size_t at) const {
    while (at < prompt.size() && in_picture(prompt[at])) ++at;
    return at;
}

size_t Stepper::cut(std::span<const PromptRow> prompt, size_t begin, size_t most) const {
    const size_t end = std::min(prompt.size(), begin + most);
    if (end == prompt.size() || end == begin || !in_picture(prompt[end]) ||
        !in_picture(prompt[end - 1])) {
        return end;
    }
    size_t start = end;
    while (start > begin && in_picture(prompt[start - 1])) --start;
    if (start > begin) return start;
    return std::min(picture_end(prompt, begin), begin + rows_.size());
}

void Stepper::add(Slot& slot, std::span<const PromptRow> prompt, size_t begin, size_t end,
                  Wanted wanted, size_t n_best) {
    size_t block_end = begin;
    for (size_t i = begin; i < end; ++i) {
        StepRow& row = rows_[n_rows_++];
        if (i >= block_end && in_picture(prompt[i])) block_end = picture_end(prompt, i);
        row.cache = &slot.cache;
        row.position = static_cast<int32_t>(slot.size + i - begin);
        row.token = prompt[i].token;
        row.soft = prompt[i].soft;
        row.block_end =
            i < block_end ? static_cast<int32_t>(slot.size + std::min(block_end, end) - begin) : 0;
        row.wanted = wanted == Wanted::all || (wanted == Wanted::last && i + 1 == prompt.size());
        row.n_best = n_best;
    }
    slot.size += end - begin;
    slot.furthest = std::max(slot.furthest, slot.size);
}

void Stepper::run(size_t first_logits) {
    const std::lock_guard<TurnLock> lock(engine_->one_step);
    const AffinityScope pinned = engine_->pool->pin_caller();
    workspace_.logits = logits(first_logits).data();
    const Compute compute{engine_->kernels, *engine_->pool, workspace_};
    const TextModel model{config(), engine_->weights, engine_->rotary};
    forward(compute, model, std::span(rows_).first(n_rows_));
    n_rows_ = 0;
}

std::span<float> Stepper::logits(size_t place) const {
    const size_t vocab = config().vocab_size;
    return {logits_ + place * vocab, vocab};
}

}  // namespace gemlet
