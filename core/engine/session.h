// One conversation with a model: its KV cache, its activations, how far it has come.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "core/engine/engine.h"
#include "core/status.h"

namespace gemlet {

/// One position of a prompt: a token, or a soft token that stands for a picture or a sound.
struct PromptRow {
    int32_t token = 0;            // the placeholder's id where soft is set
    const float* soft = nullptr;  // [d_model], borrowed for the call
};

/// Called between the steps of a long prompt; all members optional.
struct PrefillHooks {
    const std::atomic<bool>* cancel = nullptr;  // stops after the running step: `cancelled`
    void (*progress)(void* context, size_t done, size_t total) = nullptr;
    void* context = nullptr;

    /// `cancelled` when it is time to stop.
    Status check() const {
        if (cancel == nullptr || !cancel->load(std::memory_order_relaxed)) return {};
        return {StatusCode::cancelled, "stopped"};
    }
    void report(size_t done, size_t total) const {
        if (progress != nullptr) progress(context, done, total);
    }
};

/// Receives the logits of one position. Shape: logits [vocab], borrowed for the call.
struct LogitsSink {
    void (*take)(void* context, size_t position, std::span<const float> logits);
    void* context;
};

/// One thread at a time. Sessions of one engine may be used from different threads; their steps
/// take turns. Nothing is allocated after create.
class Session {
  public:
    /// Reserves KV cache and activations. The engine must outlive the session.
    static Result<std::unique_ptr<Session>> create(Engine& engine);
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    /// Appends rows; afterwards logits() are those of the last. Errors: `context_full` (nothing is
    /// appended), `bad_argument` for an id outside the vocabulary, `cancelled` (the steps that ran
    /// stay). An empty span changes nothing.
    Status append(std::span<const PromptRow> rows, const PrefillHooks& hooks = {}) noexcept;
    /// Appends one token: a decode step.
    Status append(int32_t token) noexcept;
    /// Appends rows and hands out the logits of every one: all layers run for all rows.
    Status append_all(std::span<const PromptRow> rows, const LogitsSink& sink,
                      const PrefillHooks& hooks = {}) noexcept;

    /// From now on only the n_best largest logits after an append are exact; others may be left at
    /// estimates that lie below these, which saves time with weights whose head has no static input
    /// scale. 0, as at first: all are exact. What append_all hands out always is.
    void read_largest(size_t n_best) noexcept;
    /// Logits [vocab] after the last appended row; valid until the next call.
    std::span<const float> logits() const noexcept;
    /// Positions in use.
    size_t size() const noexcept;
    size_t context() const noexcept;
    /// Floats of a soft token.
    size_t row_width() const noexcept;
    /// Forgets positions from `size` on, to continue from there. Errors: `bad_argument` when the
    /// sliding windows no longer hold what came before it (then start again from 0).
    Status truncate(size_t size) noexcept;

  private:
    struct Parts;
    explicit Session(std::unique_ptr<Parts> parts);
    std::unique_ptr<Parts> parts_;
};

}  // namespace gemlet
