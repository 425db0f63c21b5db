// What the machine can do at best: loops that do nothing but read, or nothing but multiply.
// Benchmarks divide by these ceilings.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/isa.h"

namespace gemlet {

struct ProbeVariant {
    const char* name;
    Isa isa;
    /// Reads n_bytes (a multiple of 512) once from `data`, 64-byte aligned; returns a value that
    /// depends on all of them.
    uint64_t (*read)(const uint8_t* data, size_t n_bytes);
    /// Multiplies and adds bytes held in registers, n_steps times; returns how many multiply-adds
    /// that were.
    uint64_t (*multiply)(size_t n_steps);
};

/// Variants built into this library, best first, scalar last.
std::span<const ProbeVariant* const> probe_variants();

}  // namespace gemlet
