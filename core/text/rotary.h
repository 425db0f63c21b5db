// Rotary position embedding: angles of a step's rows for both kinds of layer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/model/config.h"

namespace gemlet {

/// Inverse frequencies, one per rotated pair (j, j + head_dim / 2); zero means the pair does not
/// turn.
struct RotaryTable {
    size_t half = 0;                     // pairs of a head
    std::unique_ptr<float[]> frequency;  // [half]

    /// Writes cosines and sines of position * frequency. Shapes: cosine, sine [half].
    /// The angle is rounded to float before the functions, as the reference does.
    void angles(int32_t position, float* cosine, float* sine) const noexcept;
};

/// Tables of sliding-window and of global layers.
struct RotaryTables {
    RotaryTable local;
    RotaryTable global;
};

RotaryTables make_rotary_tables(const ModelConfig& config);

}  // namespace gemlet
