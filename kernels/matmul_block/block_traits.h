// What the variants must know of a weight type beyond its integer view.
#pragma once

#include "quant/formats/weight_type.h"

namespace gemlet {

/// Columns one lane of the canonical sum steps over: lane r takes groups r, r + 8, r + 16, ...
constexpr int kBlockLanes = 8;

struct BlockTraits {
    bool halves;  // scales (and mins) change every 16 columns; otherwise every 32 or more
    bool mins;    // the type has minimums
    int bias;     // code + bias is never negative
    int range;    // largest code + bias
};

/// Returns the traits of a type with an integer view.
BlockTraits block_traits(WeightType type);

}  // namespace gemlet
