// A prompt is cut into steps of at most `chunk` rows. A picture that the model sees both ways must
// lie in one step, so a cut that would fall inside one is moved to its beginning.
#include "core/engine/session.h"

#include <algorithm>
#include <mutex>
#include <vector>

#include "core/engine/engine_parts.h"
#include "core/guard.h"
#include "core/text/forward.h"

namespace gemlet {

struct Session::Parts {
    EngineParts* engine = nullptr;
    KvCache cache;
    Workspace workspace;
    std::vector<StepRow> rows;  // [max_rows] of the running step
    size_t size = 0;
    size_t furthest = 0;  // most positions ever written: what the rings hold follows from it
    bool has_logits = false;

    const ModelConfig& config() const { return engine->checkpoint.config(); }
    Status check(std::span<const PromptRow> prompt) const;
    bool in_picture(const PromptRow& row) const;
    size_t picture_end(std::span<const PromptRow> prompt, size_t at) const;
    size_t step_end(std::span<const PromptRow> prompt, size_t begin, size_t most) const;
    void step(std::span<const PromptRow> prompt, size_t begin, size_t end, bool want_all);
};

Status Session::Parts::check(std::span<const PromptRow> prompt) const {
    if (prompt.size() > engine->options.context - size) {
        return {StatusCode::context_full, "prompt and answer do not fit the context length",
                "--context", static_cast<int64_t>(engine->options.context)};
    }
    for (const PromptRow& row : prompt) {
        if (row.token < 0 || static_cast<size_t>(row.token) >= config().vocab_size) {
            return {StatusCode::bad_argument, "token id is outside the vocabulary", {}, row.token};
        }
    }
    return {};
}

bool Session::Parts::in_picture(const PromptRow& row) const {
    return row.soft != nullptr && config().image_bidirectional && row.token != config().audio_id;
}

/// One past the picture that covers `at`; `at` itself when it is in none.
size_t Session::Parts::picture_end(std::span<const PromptRow> prompt, size_t at) const {
    while (at < prompt.size() && in_picture(prompt[at])) ++at;
    return at;
}

size_t Session::Parts::step_end(std::span<const PromptRow> prompt, size_t begin,
                                size_t most) const {
    const size_t end = std::min(prompt.size(), begin + most);
    if (end == prompt.size() || !in_picture(prompt[end]) || !in_picture(prompt[end - 1]))
        return end;
    size_t start = end;
    while (start > begin && in_picture(prompt[start - 1])) --start;
    if (start > begin) return start;
    return std::min(picture_end(prompt, begin), begin + rows.size());
}

void Session::Parts::step(std::span<const PromptRow> prompt, size_t begin, size_t end,
                          bool want_all) {
    size_t block_end = begin;
    for (size_t i = begin; i < end; ++i) {
        StepRow& row = rows[i - begin];
        if (i >= block_end && in_picture(prompt[i])) block_end = picture_end(prompt, i);
        row.cache = &cache;
        row.position = static_cast<int32_t>(size + i - begin);
        row.token = prompt[i].token;
        row.soft = prompt[i].soft;
        row.block_end =
            i < block_end ? static_cast<int32_t>(size + std::min(block_end, end) - begin) : 0;
        row.wanted = want_all || i + 1 == prompt.size();
    }
    const std::lock_guard<std::mutex> lock(engine->one_step);
    const AffinityScope pinned = engine->pool->pin_caller();
    const Compute compute{engine->kernels, *engine->pool, workspace};
    const TextModel model{config(), engine->weights, engine->rotary};
    has_logits = forward(compute, model, std::span(rows).first(end - begin)) != 0;
    size += end - begin;
    furthest = std::max(furthest, size);
}

Session::Session(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Session::~Session() = default;

Result<std::unique_ptr<Session>> Session::create(Engine& engine) {
    return guard([&]() -> Result<std::unique_ptr<Session>> {
        auto parts = std::make_unique<Parts>();
        parts->engine = engine.parts_.get();
        const ModelConfig& config = engine.config();
        Result<KvCache> cache =
            KvCache::create(config, engine.parts_->weights, engine.parts_->cache_shape());
        GEMLET_TRY(cache);
        parts->cache = std::move(*cache);
        Result<Workspace> workspace = Workspace::create(config, engine.parts_->workspace_shape());
        GEMLET_TRY(workspace);
        parts->workspace = std::move(*workspace);
        parts->rows.resize(engine.parts_->max_rows());
        return std::unique_ptr<Session>(new Session(std::move(parts)));
    });
}

Status Session::append(std::span<const PromptRow> rows, const PrefillHooks& hooks) noexcept {
    GEMLET_TRY(parts_->check(rows));
    for (size_t begin = 0; begin < rows.size();) {
        if (hooks.cancel != nullptr && hooks.cancel->load(std::memory_order_relaxed)) {
            return {StatusCode::cancelled, "stopped"};
        }
        const size_t end = parts_->step_end(rows, begin, parts_->engine->options.chunk);
        parts_->step(rows, begin, end, false);
        begin = end;
        if (hooks.progress != nullptr) hooks.progress(hooks.context, begin, rows.size());
    }
    return {};
}

Status Session::append(int32_t token) noexcept {
    const PromptRow row{token, nullptr};
    return append({&row, 1});
}

Status Session::append_all(std::span<const PromptRow> rows, const LogitsSink& sink,
                           const PrefillHooks& hooks) noexcept {
    GEMLET_TRY(parts_->check(rows));
    const size_t vocab = parts_->config().vocab_size;
    const size_t most = parts_->workspace.shape.max_wanted;
    for (size_t begin = 0; begin < rows.size();) {
        if (hooks.cancel != nullptr && hooks.cancel->load(std::memory_order_relaxed)) {
            return {StatusCode::cancelled, "stopped"};
        }
        const size_t first = parts_->size;
        const size_t end = parts_->step_end(rows, begin, most);
        if (end - begin > most) {
            return {StatusCode::unsupported, "logits of every row of a picture need larger chunks",
                    "--chunk", static_cast<int64_t>(end - begin)};
        }
        parts_->step(rows, begin, end, true);
        for (size_t i = 0; i < end - begin; ++i) {
            sink.take(sink.context, first + i, {parts_->workspace.logits + i * vocab, vocab});
        }
        // logits() promises the last row's.
        std::copy_n(parts_->workspace.logits + (end - begin - 1) * vocab, vocab,
                    parts_->workspace.logits);
        begin = end;
        if (hooks.progress != nullptr) hooks.progress(hooks.context, begin, rows.size());
    }
    return {};
}

std::span<const float> Session::logits() const noexcept {
    if (!parts_->has_logits) return {};
    return {parts_->workspace.logits, parts_->config().vocab_size};
}

size_t Session::size() const noexcept { return parts_->size; }
size_t Session::context() const noexcept { return parts_->engine->options.context; }

size_t Session::row_width() const noexcept { return parts_->config().d_model; }

Status Session::truncate(size_t size) noexcept {
    if (size > parts_->size) {
        return {StatusCode::bad_argument,
                "cannot forget positions that are not there",
                {},
                static_cast<int64_t>(size)};
    }
    // A ring of n slots holds the last n positions written; continuing at `size` needs the window -
    // 1 before it.
    const size_t window = parts_->config().window - 1;
    const size_t needed_from = size > window ? size - window : 0;
    for (size_t i = 0; i < parts_->config().n_owning_layers; ++i) {
        if (size == 0 || parts_->config().layers[i].is_global) continue;
        if (parts_->furthest > needed_from + parts_->cache.layer(i).n_slots) {
            return {StatusCode::bad_argument,
                    "the sliding windows no longer reach back that far",
                    {},
                    static_cast<int64_t>(size)};
        }
    }
    parts_->size = size;
    parts_->has_logits = false;
    if (size == 0) parts_->furthest = 0;
    return {};
}

}  // namespace gemlet
