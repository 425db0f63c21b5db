// Sums of rows in the canonical order (kernels/vector/README.md), for what no kernel computes: a
// loop over 16 lanes is one that compilers turn into vector instructions.
#pragma once

#include <cstddef>

#include "kernels/vector/canonical.h"

namespace gemlet {

/// Calls add(i, i mod 16) for i = 0 .. n - 1.
template <class Add>
inline void for_lanes(size_t n, Add&& add) {
    size_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
        for (size_t lane = 0; lane < kLanes; ++lane) add(i + lane, lane);
    }
    for (size_t lane = 0; i < n; ++i, ++lane) add(i, lane);
}

}  // namespace gemlet
