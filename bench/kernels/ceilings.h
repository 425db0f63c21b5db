// What one core can do at most: read bandwidth, and int8 multiply-adds of an instruction set's dot
// product from registers. Measured in the program, so that shares compare like with like.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/isa.h"

namespace gemlet {

/// Loops to be timed by the caller.
struct Ceiling {
    Isa isa;
    /// Reads n bytes (a multiple of 256); returns something that depends on all of them.
    int (*read)(const uint8_t* bytes, size_t n);
    /// Does `rounds` * dot_ops_per_round int8 multiply-adds.
    int (*dot)(size_t rounds);
    size_t dot_ops_per_round;
};

/// The loops of an instruction set, or nullptr where there are none.
const Ceiling* ceiling_of(Isa isa);

}  // namespace gemlet
