// Codes, sums and scales of all rows in three arrays, as kernels/matmul_row and matmul_block read
// them.
#include "core/linear/packed_rows.h"

#include <algorithm>

namespace gemlet {

RowActivations lay_out_rows(Packing& packing, WeightType streams, size_t n_limbs, size_t m,
                            size_t k) {
    RowActivations out{};
    out.n_limbs = n_limbs;
    out.stream_bytes = row_stream_bytes(streams, k);
    out.codes = packing.take<int8_t>(m * n_limbs * row_streams(streams) * out.stream_bytes);
    out.sums = packing.take<int32_t>(m * n_limbs);
    out.scale = packing.take<float>(m);
    return out;
}

BlockActivations lay_out_blocks(Packing& packing, size_t m, size_t k) {
    BlockActivations out{};
    out.codes = packing.take<int8_t>(m * k);
    out.scale = packing.take<float>(m * (k / kBlockGroup));
    out.sums = packing.take<int16_t>(m * (k / kBlockSum));
    return out;
}

RowActivations from_row(RowActivations x, WeightType streams, size_t row) {
    x.codes += row * x.n_limbs * row_streams(streams) * x.stream_bytes;
    x.sums += row * x.n_limbs;
    x.scale += row;
    return x;
}

BlockActivations from_row(BlockActivations x, size_t k, size_t row) {
    x.codes += row * k;
    x.scale += row * (k / kBlockGroup);
    x.sums += row * (k / kBlockSum);
    return x;
}

size_t packed_row_bytes(size_t m, size_t k) {
    // At most four streams, each padded.
    const size_t padded =
        (k + 4 * kRowStreamAlign - 1) / (4 * kRowStreamAlign) * 4 * kRowStreamAlign;
    const size_t row = m * kFixedPointLimbs * (padded + sizeof(int32_t)) + m * sizeof(float);
    const size_t block =
        m * (padded + padded / kBlockGroup * sizeof(float) + padded / kBlockSum * sizeof(int16_t));
    return std::max(row, block) + 4 * kPlanAlign;
}

}  // namespace gemlet
