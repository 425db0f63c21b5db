// One conversation's place in an engine: its KV cache and how far it has come.
#pragma once

#include <cstddef>
#include <span>

#include "core/engine/session.h"
#include "core/status.h"
#include "core/text/kv_cache.h"

namespace gemlet {

struct EngineParts;

struct Slot {
    KvCache cache;
    size_t size = 0;      // positions in use
    size_t furthest = 0;  // most positions ever written: what the rings hold follows from it

    /// Reserves the KV cache. Errors: `out_of_memory`.
    static Result<Slot> create(const EngineParts& engine);
    /// Whether these rows can be appended. Errors: `context_full`, `bad_argument`.
    Status check(const EngineParts& engine, std::span<const PromptRow> prompt) const;
    /// Forgets positions from `to` on. Errors: as Session::truncate.
    Status truncate(const ModelConfig& config, size_t to);
    /// Takes over what another slot of the same engine holds.
    void copy_from(const Slot& other);
};

}  // namespace gemlet
