// Float matrix products with 4 floats in a register. Each header is written on the names of the one
// before.
// clang-format off
#include "kernels/vector/part_neon.h"
#include "kernels/vector/canonical_parts.h"
#include "kernels/vector/dot_tile.h"
#include "kernels/vector/lane_order.h"
#include "kernels/matmul_float/matmul_float_tiles.h"
#include "kernels/matmul_float/matmul_float_panels.h"
// clang-format on

namespace gemlet {

extern const MatmulFloatVariant matmul_float_neon;
const MatmulFloatVariant matmul_float_neon = {"neon",        Isa::neon,   run,       kPanelRows,
                                              kPanelColumns, pack_inputs, run_packed};

}  // namespace gemlet
