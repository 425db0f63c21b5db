// Matrix product with float activations: out[m][n] = sum over k of x[m][k] * weight[n][k].
// Weights are f32, f16 or bf16 rows, or any block type, dequantized a row at a time. Canonical
// arithmetic: 16 lanes (lane = k mod 16), one fused multiply-add per element in order of k, then
// the tree i+8, i+4, i+2, i+1; so the result does not depend on ISA, threads or the number of rows.
// A k that is no multiple of 16 counts as padded with zeros up to one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/isa.h"
#include "quant/formats/weight_type.h"

namespace gemlet {

/// Shapes: x [m, k], weights [n_end, k] of which rows n_begin..n_end-1 are used, out [m, n_end].
/// x_stride, out_stride in elements; pointers need no alignment. Only out columns n_begin..n_end-1
/// are written. scratch: k + 64 floats for block types, else unused; one per thread.
struct MatmulFloatArgs {
    const uint8_t* weights;
    size_t weight_stride_bytes;
    WeightType type;
    const float* x;
    size_t x_stride;
    float* out;
    size_t out_stride;
    size_t m;
    size_t n_begin;
    size_t n_end;
    size_t k;
    float* scratch;
};

/// Rearranges inputs for run_packed: tiles of the variant's tile_rows rows, packed_tile_floats
/// each. Shapes: x [m, k], x_stride in elements; out [ceil(m / tile_rows)] tiles. A last tile with
/// fewer rows is filled up with zeros. Values are clamped to low .. high (-+infinity: not at all).
struct PackFloatArgs {
    const float* x;
    size_t x_stride;
    size_t m;
    size_t k;
    float low;
    float high;
    float* out;
};

/// The product for many rows: as MatmulFloatArgs, but x in packed tiles, m rows from the beginning
/// of a tile on, and results clamped to low .. high. Worth it from about 16 rows; the weights of a
/// call are packed once for all its rows. scratch: packed_scratch_floats floats, one per thread.
struct PackedFloatArgs {
    const uint8_t* weights;
    size_t weight_stride_bytes;
    WeightType type;
    const float* x;
    float* out;
    size_t out_stride;
    size_t m;
    size_t n_begin;
    size_t n_end;
    size_t k;
    float low;
    float high;
    float* scratch;
};

struct MatmulFloatVariant {
    const char* name;
    Isa isa;
    /// Pure; callers split n. No failure.
    void (*run)(const MatmulFloatArgs& args);
    /// The same sums, bit for bit, from packed inputs. Pure; callers split tiles of rows and n.
    size_t tile_rows;
    size_t panel_columns;  // calls with a multiple of these columns waste nothing
    void (*pack)(const PackFloatArgs& args);
    void (*run_packed)(const PackedFloatArgs& args);
};

/// Floats of one packed tile of inputs with k columns.
size_t packed_tile_floats(const MatmulFloatVariant& variant, size_t k);
/// Floats of scratch that run_packed needs for k columns.
size_t packed_scratch_floats(const MatmulFloatVariant& variant, size_t k);

/// Variants built into this library, best first, scalar last.
std::span<const MatmulFloatVariant* const> matmul_float_variants();

}  // namespace gemlet
