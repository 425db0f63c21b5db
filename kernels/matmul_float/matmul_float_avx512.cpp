// Float matrix products with 16 floats in a register. Each header is written on the names of the
// one before.
// clang-format off
#include "kernels/vector/part_avx512.h"
#include "kernels/vector/canonical_parts.h"
#include "kernels/vector/dot_tile.h"
#include "kernels/vector/lane_order.h"
#include "kernels/matmul_float/matmul_float_tiles.h"
#include "kernels/matmul_float/matmul_float_panels.h"
// clang-format on

namespace gemlet {

extern const MatmulFloatVariant matmul_float_avx512;
const MatmulFloatVariant matmul_float_avx512 = {"avx512",      Isa::avx512, run,       kPanelRows,
                                                kPanelColumns, pack_inputs, run_packed};

}  // namespace gemlet
