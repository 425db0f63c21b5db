// Int8 copies of a tower's float matrices, made at load where the user asks for them.
#pragma once

#include <cstdint>
#include <span>

#include "core/memory/plan.h"
#include "core/tower/tower_linear.h"

namespace gemlet {

/// Whether a matrix is one of floats, which int8 would replace.
bool is_float_linear(const TowerLinear& linear);

/// Memory of the quantised matrices of a tower. All of it works on the float ones among `linears`,
/// which must be the same at each call.
struct QuantisedTower {
    uint8_t* codes = nullptr;
    float* scales = nullptr;

    /// Whether there is anything to quantise.
    static bool applies(std::span<TowerLinear* const> linears);
    /// Adds the memory to a plan under static names.
    void plan(const char* codes_name, const char* scales_name,
              std::span<TowerLinear* const> linears, MemoryPlan& plan);
    /// Fills the planned memory and points the linears to it.
    void fill(std::span<TowerLinear* const> linears) const;
};

}  // namespace gemlet
