// The variants built in, and the sizes of their packed inputs.
#include "kernels/matmul_float/matmul_float.h"

#include "kernels/matmul_float/packed_sizes.h"

namespace gemlet {

extern const MatmulFloatVariant matmul_float_scalar;
#ifdef GEMLET_X86_KERNELS
extern const MatmulFloatVariant matmul_float_avx2;
extern const MatmulFloatVariant matmul_float_avx512;
#endif
#ifdef GEMLET_ARM_KERNELS
extern const MatmulFloatVariant matmul_float_neon;
#endif

namespace {

constexpr const MatmulFloatVariant* kVariants[] = {
#ifdef GEMLET_X86_KERNELS
    &matmul_float_avx512,
    &matmul_float_avx2,
#endif
#ifdef GEMLET_ARM_KERNELS
    &matmul_float_neon,
#endif
    &matmul_float_scalar,
};

}  // namespace

std::span<const MatmulFloatVariant* const> matmul_float_variants() { return kVariants; }

size_t packed_tile_floats(const MatmulFloatVariant& variant, size_t k) {
    return kPackedLanes * packed_lane_floats(k, variant.tile_rows);
}

size_t packed_scratch_floats(const MatmulFloatVariant& variant, size_t k) {
    const size_t columns = columns_at_once(k, variant.panel_columns);
    const size_t panels = columns / variant.panel_columns * kPackedLanes *
                          packed_lane_floats(k, variant.panel_columns);
    const size_t sums =
        (kMaxTilesAtOnce + 1) * kTreeLevels * variant.tile_rows * variant.panel_columns;
    return panels + sums + kRowsAtOnce * k + 64;
}

}  // namespace gemlet
