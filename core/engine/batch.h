// Several conversations whose steps run together: one pass over the weights serves all of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "core/engine/engine.h"
#include "core/engine/session.h"
#include "core/status.h"

namespace gemlet {

/// What a slot of a batch goes on with.
struct Turn {
    size_t slot = 0;
    std::span<const PromptRow> rows;
    bool wanted = true;  // logits after the last row are
    size_t n_best = 0;   // how many of the largest: see Session::read_largest
};

/// Conversations in numbered slots. What a slot computes does not depend on what the others do:
/// with QAT mobile weights it is the same to the bit. One thread at a time; nothing is allocated
/// after create.
class Batch {
  public:
    /// Reserves the KV cache of every slot and the activations of a step. The engine must outlive
    /// the batch. Errors: `bad_argument` when there are more slots than EngineOptions::parallel,
    /// `out_of_memory`.
    static Result<std::unique_ptr<Batch>> create(Engine& engine, size_t n_slots);
    ~Batch();
    Batch(const Batch&) = delete;
    Batch& operator=(const Batch&) = delete;

    /// Appends the rows of every turn to its slot, all together, in steps of at most the engine's
    /// chunk. Turns name different slots; short ones first reach the decode of the others sooner.
    /// Errors: as Session::append, and `bad_argument` for a slot that is not there or named twice;
    /// nothing is appended then.
    Status append(std::span<const Turn> turns, const PrefillHooks& hooks = {}) noexcept;
    /// Where a turn that begins at `begin` of a prompt and takes at most `most` rows (not 0) must
    /// end: earlier, or later, where it would cut a picture that the model sees as a whole.
    size_t cut(std::span<const PromptRow> prompt, size_t begin, size_t most) const noexcept;

    /// Logits [vocab] after the last row a slot got in the latest append; empty when that append
    /// had no wanted turn for it.
    std::span<const float> logits(size_t slot) const noexcept;
    size_t n_slots() const noexcept;
    /// Positions of a slot in use.
    size_t size(size_t slot) const noexcept;
    size_t context() const noexcept;
    /// Forgets a slot's positions from `size` on. Errors: as Session::truncate.
    Status truncate(size_t slot, size_t size) noexcept;
    /// Makes slot `to` hold the first `size` positions of slot `from`, which stays as it is. On an
    /// error `to` is empty. Errors: as truncate.
    Status copy(size_t from, size_t to, size_t size) noexcept;

  private:
    struct Parts;
    explicit Batch(std::unique_ptr<Parts> parts);
    std::unique_ptr<Parts> parts_;
};

}  // namespace gemlet
