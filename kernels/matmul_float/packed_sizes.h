// How packed operands of the float matrix product are laid out, shared by its variants (constants
// and macros only: nothing here may be compiled into a function shared between instruction sets).
//
// A packed operand (a tile of input rows, or a panel of weight rows) is [lane][step][row]: the 16
// lanes of the canonical sums one after the other, in the order in which the tree joins them, in
// each lane the elements lane, lane + 16, lane + 32 .. of every row.
#pragma once

#include <stddef.h>

namespace gemlet {
namespace {

constexpr size_t kPackedLanes = 16;
constexpr size_t kTreeLevels = 4;
// Rows are stored eight at a time, so a lane may spill over its end; and lanes whose length is a
// power of two would all fall into the same few sets of the first-level cache.
constexpr size_t kLanePad = 16;
// Rows dequantised at once where weights are blocks.
constexpr size_t kRowsAtOnce = 8;
// Packed weights that pass by a block of inputs: at k = 4304, a single panel (512 KB here) reached
// 65 % of OpenBLAS's rate, since all inputs then come from the third-level cache for 16 outputs
// each; 2 MB reach 84 %.
constexpr size_t kPanelFloats = size_t{512} * 1024;
constexpr size_t kMaxTilesAtOnce = 32;

constexpr size_t packed_steps(size_t k) { return (k + kPackedLanes - 1) / kPackedLanes; }

constexpr size_t packed_lane_floats(size_t k, size_t n_rows) {
    return packed_steps(k) * n_rows + kLanePad;
}

// Columns whose weights are packed before the inputs pass by.
constexpr size_t columns_at_once(size_t k, size_t panel_columns) {
    const size_t panels = kPanelFloats / (k * panel_columns);
    return (panels < 1 ? 1 : panels < 6 ? panels : 6) * panel_columns;
}

}  // namespace
}  // namespace gemlet
