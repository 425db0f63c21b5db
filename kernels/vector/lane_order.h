// What kernels need that compute the 16 lanes of canonical sums one after the other, with many
// outputs side by side in a register: the order in which the tree joins lanes. Everything has
// internal linkage.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace gemlet {
namespace {

// Lanes in the order of the tree: the bits of their numbers, reversed.
constexpr uint8_t kLaneOrder[16] = {0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15};
// Levels of the tree: finished lanes are joined like the bits of a binary counter.
constexpr size_t kLaneLevels = 4;

inline size_t place_of_lane(size_t lane) {
    return kLaneOrder[lane];  // reversing bits twice gives the number itself
}

}  // namespace
}  // namespace gemlet
