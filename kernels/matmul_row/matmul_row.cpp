// Layout of the activation streams, and the variants built in.
#include "kernels/matmul_row/matmul_row.h"

namespace gemlet {

extern const MatmulRowVariant matmul_row_scalar;
#ifdef GEMLET_X86_KERNELS
extern const MatmulRowVariant matmul_row_avx2;
extern const MatmulRowVariant matmul_row_avxvnni;
extern const MatmulRowVariant matmul_row_avx512vnni;
extern const MatmulRowVariant matmul_row_amx;
#endif
#ifdef GEMLET_ARM_KERNELS
extern const MatmulRowVariant matmul_row_neon;
extern const MatmulRowVariant matmul_row_dotprod;
extern const MatmulRowVariant matmul_row_i8mm;
#endif

namespace {

constexpr const MatmulRowVariant* kVariants[] = {
#ifdef GEMLET_X86_KERNELS
    &matmul_row_amx,    &matmul_row_avx512vnni, &matmul_row_avxvnni, &matmul_row_avx2,
#endif
#ifdef GEMLET_ARM_KERNELS
    &matmul_row_i8mm,   &matmul_row_dotprod,    &matmul_row_neon,
#endif
    &matmul_row_scalar,
};

}  // namespace

size_t row_streams(WeightType type) {
    switch (type) {
        case WeightType::i2r:
            return 4;
        case WeightType::i4r:
            return 2;
        default:
            return 1;
    }
}

size_t row_stream_bytes(WeightType type, size_t k) {
    const size_t n_streams = row_streams(type);
    const size_t n_codes = (k + n_streams - 1) / n_streams;
    return (n_codes + kRowStreamAlign - 1) / kRowStreamAlign * kRowStreamAlign;
}

std::span<const MatmulRowVariant* const> matmul_row_variants() { return kVariants; }

}  // namespace gemlet
