// The float matrix product in tiles of dot products (kernels/vector/dot_tile.h), written once for
// all instruction sets. Included after dot_tile.h; everything has internal linkage.
//
// Input rows are taken in blocks that stay in the second-level cache while all weight rows pass by;
// weights are converted in registers, once for each kTileRows input rows. A block of one row (the
// decode step) streams four weight rows side by side. Quantised blocks are dequantized a row at a
// time into scratch and used by all input rows.
//
// Measured with AVX2, one thread of a busy two-thread Zen 4 (EPYC) virtual machine, where a loop of
// multiply-adds alone reaches 43 G/s: bf16 28 to 30 G/s from 32 rows on (65 to 70 %), f32 22 to 24
// (52 %); one row streams bf16 weights at 12 to 16 GB/s and f32 at 16, a plain reading loop at 15
// to 33. Tried in vain: keeping an input tile while a block of weight rows passes by (no change).
#pragma once

#include "kernels/matmul_float/matmul_float.h"
#include "quant/formats/dequantize.h"

namespace gemlet {
namespace {

// Inputs of a block: half a megabyte, half of the second-level cache of current cores.
constexpr size_t kBlockFloats = size_t{128} * 1024;

size_t rows_of_block(size_t k) {
    const size_t tiles = kBlockFloats / (k * kTileRows);
    return (tiles == 0 ? 1 : tiles) * kTileRows;
}

// Computes kRows x kColumns outputs at (m, n); columns behind n_end repeat the last and are not
// written.
template <size_t kRows, size_t kColumns, class Weights>
void run_tile(const MatmulFloatArgs& args, const uint8_t* const* w, size_t m, size_t n) {
    Four sums[kRows];
    dot_tile<kRows, kColumns, Weights>(args.x + m * args.x_stride, args.x_stride, w, args.k,
                                       kTileColumns * args.weight_stride_bytes, sums);
    const size_t left = args.n_end - n;
    const size_t n_columns = left < kColumns ? left : kColumns;
    for (size_t row = 0; row < kRows; ++row) {
        float columns[kTileColumns];
        four_store(columns, sums[row]);
        memcpy(args.out + (m + row) * args.out_stride + n, columns, n_columns * sizeof(float));
    }
}

// Computes the outputs of input rows m_begin .. m_end - 1 with kColumns weight rows.
template <size_t kColumns, class Weights>
void run_rows(const MatmulFloatArgs& args, const uint8_t* const* w, size_t m_begin, size_t m_end,
              size_t n) {
    size_t m = m_begin;
    for (; m + kTileRows <= m_end; m += kTileRows) {
        run_tile<kTileRows, kColumns, Weights>(args, w, m, n);
    }
    const size_t left = m_end - m;
    if (left == 1) run_tile<1, kColumns, Weights>(args, w, m, n);
    if (left == 2) run_tile<2, kColumns, Weights>(args, w, m, n);
    if (left == 3) run_tile<3, kColumns, Weights>(args, w, m, n);
}

template <class Weights>
void run_plain(const MatmulFloatArgs& args) {
    const size_t block = rows_of_block(args.k);
    for (size_t m = 0; m < args.m; m += block) {
        const size_t m_end = args.m - m < block ? args.m : m + block;
        for (size_t n = args.n_begin; n < args.n_end; n += kTileColumns) {
            const uint8_t* w[kTileColumns];
            for (size_t column = 0; column < kTileColumns; ++column) {
                const size_t row = n + column < args.n_end ? n + column : args.n_end - 1;
                w[column] = args.weights + row * args.weight_stride_bytes;
            }
            run_rows<kTileColumns, Weights>(args, w, m, m_end, n);
        }
    }
}

void run_quantised(const MatmulFloatArgs& args) {
    const auto* const row = reinterpret_cast<const uint8_t*>(args.scratch);
    for (size_t n = args.n_begin; n < args.n_end; ++n) {
        dequantize_row(args.type, args.weights + n * args.weight_stride_bytes, args.k,
                       args.scratch);
        run_rows<1, WeightsF32>(args, &row, 0, args.m, n);
    }
}

void run(const MatmulFloatArgs& args) {
    switch (args.type) {
        case WeightType::f32:
            return run_plain<WeightsF32>(args);
        case WeightType::f16:
            return run_plain<WeightsF16>(args);
        case WeightType::bf16:
            return run_plain<WeightsBf16>(args);
        default:
            return run_quantised(args);
    }
}

}  // namespace
}  // namespace gemlet
