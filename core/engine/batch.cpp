// Turns are laid one behind the other into steps of at most `chunk` rows. The n-th turn whose
// logits are wanted keeps them at the n-th place, whatever step it ended in.
#include "core/engine/batch.h"

#include <algorithm>
#include <vector>

#include "core/engine/slot.h"
#include "core/engine/stepper.h"
#include "core/guard.h"

namespace gemlet {

struct Batch::Parts {
    static constexpr size_t kNone = SIZE_MAX;

    EngineParts* engine = nullptr;
    std::vector<Slot> slots;
    std::vector<size_t> place;  // [n_slots] of the slot's logits; kNone: it has none
    std::vector<bool> named;    // [n_slots] scratch of check()
    Stepper stepper;

    Status check(std::span<const Turn> turns);
    void clear_logits() { std::ranges::fill(place, kNone); }
};

Batch::Batch(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Batch::~Batch() = default;

Result<std::unique_ptr<Batch>> Batch::create(Engine& engine, size_t n_slots) {
    if (n_slots == 0 || n_slots > engine.options().parallel) {
        return Status(StatusCode::bad_argument, "more slots than the engine was opened for",
                      "--parallel", static_cast<int64_t>(n_slots));
    }
    return guard([&]() -> Result<std::unique_ptr<Batch>> {
        auto parts = std::make_unique<Parts>();
        parts->engine = engine.parts_.get();
        for (size_t i = 0; i < n_slots; ++i) {
            Result<Slot> slot = Slot::create(*parts->engine);
            GEMLET_TRY(slot);
            parts->slots.push_back(std::move(*slot));
        }
        Result<Stepper> stepper = Stepper::create(*parts->engine);
        GEMLET_TRY(stepper);
        parts->stepper = std::move(*stepper);
        parts->place.assign(n_slots, Parts::kNone);
        parts->named.resize(n_slots);
        return std::unique_ptr<Batch>(new Batch(std::move(parts)));
    });
}

Status Batch::Parts::check(std::span<const Turn> turns) {
    named.assign(slots.size(), false);
    for (const Turn& turn : turns) {
        if (turn.slot >= slots.size() || named[turn.slot]) {
            return {StatusCode::bad_argument,
                    "a batch has no such slot, or it is named twice",
                    {},
                    static_cast<int64_t>(turn.slot)};
        }
        named[turn.slot] = true;
        GEMLET_TRY(slots[turn.slot].check(*engine, turn.rows));
    }
    return {};
}

Status Batch::append(std::span<const Turn> turns, const PrefillHooks& hooks) noexcept {
    GEMLET_TRY(parts_->check(turns));
    GEMLET_TRY(hooks.check());
    parts_->clear_logits();
    Stepper& stepper = parts_->stepper;
    const size_t chunk = parts_->engine->options.chunk;
    size_t total = 0;
    for (const Turn& turn : turns) total += turn.rows.size();
    size_t done = 0;
    size_t n_logits = 0;  // of the steps that ran
    size_t n_ended = 0;   // wanted turns that end in steps up to the next
    const auto run = [&] {
        done += stepper.n_rows();
        stepper.run(n_logits);
        n_logits = n_ended;
        hooks.report(done, total);
    };
    for (const Turn& turn : turns) {
        for (size_t begin = 0; begin < turn.rows.size();) {
            const size_t room = chunk - std::min(chunk, stepper.n_rows());
            const size_t end = stepper.cut(turn.rows, begin, room);
            // No room, or a picture that must not be cut and needs a step of its own.
            if (stepper.n_rows() != 0 && (end == begin || end - begin > room)) {
                run();
                GEMLET_TRY(hooks.check());
                continue;
            }
            const bool ends = end == turn.rows.size();
            if (ends && turn.wanted) parts_->place[turn.slot] = n_ended++;
            stepper.add(parts_->slots[turn.slot], turn.rows, begin, end,
                        turn.wanted ? Wanted::last : Wanted::none, turn.n_best);
            begin = end;
        }
    }
    if (stepper.n_rows() != 0) run();
    return {};
}

size_t Batch::cut(std::span<const PromptRow> prompt, size_t begin, size_t most) const noexcept {
    return parts_->stepper.cut(prompt, begin, most);
}

std::span<const float> Batch::logits(size_t slot) const noexcept {
    if (slot >= parts_->slots.size() || parts_->place[slot] == Parts::kNone) return {};
    return parts_->stepper.logits(parts_->place[slot]);
}

size_t Batch::n_slots() const noexcept { return parts_->slots.size(); }
size_t Batch::size(size_t slot) const noexcept { return parts_->slots[slot].size; }
size_t Batch::context() const noexcept { return parts_->engine->options.context; }

Status Batch::truncate(size_t slot, size_t size) noexcept {
    if (slot >= parts_->slots.size()) {
        return {
            StatusCode::bad_argument, "a batch has no such slot", {}, static_cast<int64_t>(slot)};
    }
    GEMLET_TRY(parts_->slots[slot].truncate(parts_->engine->checkpoint.config(), size));
    parts_->place[slot] = Parts::kNone;
    return {};
}

Status Batch::copy(size_t from, size_t to, size_t size) noexcept {
    if (from >= parts_->slots.size() || to >= parts_->slots.size() || from == to) {
        return {
            StatusCode::bad_argument, "a batch has no such slot", {}, static_cast<int64_t>(from)};
    }
    parts_->slots[to].copy_from(parts_->slots[from]);
    const Status status = truncate(to, size);
    if (!status.ok()) (void)truncate(to, 0);  // cannot fail
    return status;
}

}  // namespace gemlet
