// A slot of its own and a stepper of its own; a prompt is cut into steps of at most `chunk` rows.
#include "core/engine/session.h"

#include <algorithm>

#include "core/engine/slot.h"
#include "core/engine/stepper.h"
#include "core/guard.h"

namespace gemlet {

struct Session::Parts {
    EngineParts* engine = nullptr;
    Slot slot;
    Stepper stepper;
    bool has_logits = false;
    size_t n_best = 0;
};

Session::Session(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Session::~Session() = default;

Result<std::unique_ptr<Session>> Session::create(Engine& engine) {
    return guard([&]() -> Result<std::unique_ptr<Session>> {
        Result<Slot> slot = Slot::create(*engine.parts_);
        GEMLET_TRY(slot);
        Result<Stepper> stepper = Stepper::create(*engine.parts_);
        GEMLET_TRY(stepper);
        auto parts = std::make_unique<Parts>();
        parts->engine = engine.parts_.get();
        parts->slot = std::move(*slot);
        parts->stepper = std::move(*stepper);
        return std::unique_ptr<Session>(new Session(std::move(parts)));
    });
}

Status Session::append(std::span<const PromptRow> rows, const PrefillHooks& hooks) noexcept {
    GEMLET_TRY(parts_->slot.check(*parts_->engine, rows));
    Stepper& stepper = parts_->stepper;
    for (size_t begin = 0; begin < rows.size();) {
        GEMLET_TRY(hooks.check());
        const size_t end = stepper.cut(rows, begin, parts_->engine->options.chunk);
        stepper.add(parts_->slot, rows, begin, end, Wanted::last, parts_->n_best);
        stepper.run();
        parts_->has_logits = end == rows.size();
        begin = end;
        hooks.report(begin, rows.size());
    }
    return {};
}

Status Session::append(int32_t token) noexcept {
    const PromptRow row{token, nullptr};
    return append({&row, 1});
}

Status Session::append_all(std::span<const PromptRow> rows, const LogitsSink& sink,
                           const PrefillHooks& hooks) noexcept {
    GEMLET_TRY(parts_->slot.check(*parts_->engine, rows));
    Stepper& stepper = parts_->stepper;
    for (size_t begin = 0; begin < rows.size();) {
        GEMLET_TRY(hooks.check());
        const size_t first = parts_->slot.size;
        const size_t end = stepper.cut(rows, begin, stepper.max_wanted());
        if (end - begin > stepper.max_wanted()) {
            return {StatusCode::unsupported, "logits of every row of a picture need larger chunks",
                    "--chunk", static_cast<int64_t>(end - begin)};
        }
        stepper.add(parts_->slot, rows, begin, end, Wanted::all);
        stepper.run();
        for (size_t i = 0; i < end - begin; ++i) {
            sink.take(sink.context, first + i, stepper.logits(i));
        }
        // logits() promises the last row's.
        std::ranges::copy(stepper.logits(end - begin - 1), stepper.logits(0).begin());
        parts_->has_logits = true;
        begin = end;
        hooks.report(begin, rows.size());
    }
    return {};
}

void Session::read_largest(size_t n_best) noexcept { parts_->n_best = n_best; }

std::span<const float> Session::logits() const noexcept {
    if (!parts_->has_logits) return {};
    return parts_->stepper.logits(0);
}

size_t Session::size() const noexcept { return parts_->slot.size; }
size_t Session::context() const noexcept { return parts_->engine->options.context; }

size_t Session::row_width() const noexcept { return parts_->engine->checkpoint.config().d_model; }

Status Session::truncate(size_t size) noexcept {
    GEMLET_TRY(parts_->slot.truncate(parts_->engine->checkpoint.config(), size));
    parts_->has_logits = false;
    return {};
}

}  // namespace gemlet
