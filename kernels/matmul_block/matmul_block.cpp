// The list of variants, and facts of weight types that all of them share.
#include "kernels/matmul_block/matmul_block.h"

#include "kernels/matmul_block/block_traits.h"

namespace gemlet {

#ifdef GEMLET_X86_KERNELS
extern const MatmulBlockVariant matmul_block_amx;
extern const MatmulBlockVariant matmul_block_avx512vnni;
extern const MatmulBlockVariant matmul_block_avxvnni;
extern const MatmulBlockVariant matmul_block_avx2;
#endif
#ifdef GEMLET_ARM_KERNELS
extern const MatmulBlockVariant matmul_block_i8mm;
extern const MatmulBlockVariant matmul_block_dotprod;
extern const MatmulBlockVariant matmul_block_neon;
#endif
extern const MatmulBlockVariant matmul_block_scalar;

namespace {

constexpr const MatmulBlockVariant* kVariants[] = {
#ifdef GEMLET_X86_KERNELS
    &matmul_block_amx,    &matmul_block_avx512vnni, &matmul_block_avxvnni, &matmul_block_avx2,
#endif
#ifdef GEMLET_ARM_KERNELS
    &matmul_block_i8mm,   &matmul_block_dotprod,    &matmul_block_neon,
#endif
    &matmul_block_scalar,
};

// The widest variant's tile, and the rows it takes through the integer view at a time.
constexpr size_t kMaxTileRows = 32;
constexpr size_t kMaxUnpackedRows = 8;

}  // namespace

BlockTraits block_traits(WeightType type) {
    switch (type) {
        case WeightType::q4_0:
            return {false, false, 8, 15};
        case WeightType::q4_1:
            return {false, true, 0, 15};
        case WeightType::q5_0:
            return {false, false, 16, 31};
        case WeightType::q5_1:
            return {false, true, 0, 31};
        case WeightType::q2_k:
            return {true, true, 0, 3};
        case WeightType::q3_k:
            return {true, false, 4, 7};
        case WeightType::q4_k:
            return {false, true, 0, 15};
        case WeightType::q5_k:
            return {false, true, 0, 31};
        case WeightType::q6_k:
            return {true, false, 32, 63};
        case WeightType::iq2_xxs:
            return {false, false, 43, 86};
        case WeightType::iq2_xs:
        case WeightType::iq2_s:
            return {true, false, 43, 86};
        case WeightType::iq3_xxs:
            return {false, false, 62, 124};
        case WeightType::iq3_s:
            return {false, false, 15, 30};
        case WeightType::tq1_0:
        case WeightType::tq2_0:
        case WeightType::q1_0:
        case WeightType::q2_0:
            return {false, false, 2, 4};
        case WeightType::mxfp4:
            return {false, false, 12, 24};
        case WeightType::nvfp4:
            return {true, false, 12, 24};
        default:
            return {false, false, 128, 255};
    }
}

size_t matmul_block_scratch_bytes(size_t k) {
    // Per row: codes, then scales and minimums of every 16 columns. k is rounded up to the longest
    // block.
    const size_t padded = (k + 255) / 256 * 256;
    const size_t row_bytes = padded + padded / kBlockSum * 2 * sizeof(float);
    return (kMaxTileRows + kMaxUnpackedRows) * row_bytes;
}

std::span<const MatmulBlockVariant* const> matmul_block_variants() { return kVariants; }

}  // namespace gemlet
