// Matrix product of ggml's block formats with int8 activations: out[m][n] = sum over k of
// x[m][k] * weight[n][k], activations quantised on the fly to int8 with one float scale per 32
// columns, integer sums inside a group of 16 or 32, float across groups.
//
// Many rows: a tile of weight rows is unpacked once into scratch and multiplied with all activation
// rows. Few rows: the hot types multiply straight from the blocks, others through the integer view
// (quant/formats/unpack_codes.h). Callers with many rows do best with ranges of n that are
// multiples of 32.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/isa.h"
#include "quant/formats/weight_type.h"

namespace gemlet {

constexpr size_t kBlockGroup = 32;  // columns that share an activation scale
constexpr size_t kBlockSum = 16;    // columns per activation sum

/// Activations of m rows. Shapes: codes [m, k] in -127..127, 64-byte aligned rows when k is a
/// multiple of 64; scale [m, k / 32]; sums [m, k / 16], the sums of the codes.
struct BlockActivations {
    int8_t* codes;
    float* scale;
    int16_t* sums;
};

/// Shapes: x [m, k], x_stride in elements; k a multiple of 32. Code = rint(x / scale), ties to
/// even, scale = max|x| / 127 over the group; a group of zeros has scale 0.
struct PackBlockArgs {
    const float* x;
    size_t x_stride;
    size_t m;
    size_t k;
    BlockActivations out;
};

/// Bytes of scratch `run` needs per thread for rows of k columns.
size_t matmul_block_scratch_bytes(size_t k);

/// Shapes: weights [n_end, k] block rows, unaligned; out [m, n_end], out_stride in elements. Only
/// columns n_begin..n_end-1 are written; no byte beyond the last row's end is read. scratch:
/// matmul_block_scratch_bytes(k), 64-byte aligned, one per thread.
struct MatmulBlockArgs {
    const uint8_t* weights;
    size_t weight_stride_bytes;
    WeightType type;
    BlockActivations x;
    float* out;
    size_t out_stride;
    size_t m;
    size_t n_begin;
    size_t n_end;
    size_t k;
    uint8_t* scratch;
};

/// `pack` and `run` give the same bits in all variants, however callers split n or m: the scalar
/// file defines the order of float operations (group g of 32 columns is added to lane g % 8, the
/// lanes are added from first to last) and all others follow it.
struct MatmulBlockVariant {
    const char* name;
    Isa isa;
    void (*pack)(const PackBlockArgs& args);
    void (*run)(const MatmulBlockArgs& args);
};

/// Variants built into this library, best first, scalar last.
std::span<const MatmulBlockVariant* const> matmul_block_variants();

}  // namespace gemlet
