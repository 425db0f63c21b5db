// Matrix product of the QAT mobile scheme: int2/int4/int8 weight rows with one float scale each,
// int8 activations, exact int32 sums. Families i2r_i8, i4r_i8, i8r_i8 share this contract.
//
// A weight byte holds consecutive columns, so masking it gives strided columns. Activations are
// therefore split once into streams: i8r has one (natural order), i4r two (even, odd columns), i2r
// four (column mod 4). Weights feed the kernel as they lie, as unsigned fields u = code + zero;
// sum(q * code) = sum(q * u) - zero * sum(q), with sum(q) kept beside the activations.
//
// Where the checkpoint has no input scale (the head), activations are 24-bit fixed point with one
// scale per row: three balanced int8 digits ("limbs", lowest first), summed exactly and joined in
// double. Error per input: 2^-24 of the row's largest value, as good as float.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/isa.h"
#include "quant/formats/weight_type.h"

namespace gemlet {

constexpr size_t kRowStreamAlign = 64;  // bytes; streams start and end on multiples of it
constexpr size_t kFixedPointLimbs = 3;
/// Largest magnitude of a fixed-point activation: 126 * 2^16, so that every limb fits int8.
constexpr int32_t kFixedPointMax = 8257536;

/// Activations of m rows, packed for one weight width.
/// Shapes: codes [m, n_limbs, n_streams, stream_bytes], 64-byte aligned, zero beyond the last
/// column; sums [m, n_limbs]; scale [m].
struct RowActivations {
    int8_t* codes;
    int32_t* sums;
    float* scale;
    size_t n_limbs;       // 1, or kFixedPointLimbs
    size_t stream_bytes;  // multiple of kRowStreamAlign
};

/// Streams of a weight type: i8r 1, i4r 2, i2r 4.
size_t row_streams(WeightType type);
/// Bytes of one stream for rows of k columns.
size_t row_stream_bytes(WeightType type, size_t k);

/// Shapes: x [m, k] with x_stride in elements. input_scale > 0: codes are
/// clamp(rint(x / input_scale), -128, 127), ties to even, one limb. input_scale == 0: fixed point,
/// v = clamp(rint(x / s)) with s = max|x| / kFixedPointMax (s = 1 for a row of zeros), three limbs.
struct PackRowArgs {
    const float* x;
    size_t x_stride;
    size_t m;
    size_t k;
    WeightType type;
    float input_scale;
    RowActivations out;
};

/// Shapes: weights [n_end, k] packed rows, unaligned; weight_scale [n_end] floats, unaligned;
/// out [m, n_end], out_stride in elements. Only columns n_begin..n_end-1 of out are written and
/// only the weight bytes of those rows are read (never a byte beyond a row's end).
/// Result: y = float(acc) * (scale[m] * weight_scale[n]); with output_scale > 0 then
/// clamp(rint(y / output_scale), -128, 127) * output_scale, IEEE float division, ties to even.
/// out_codes [m, n_end], stride in elements: takes these codes themselves, and `out` is not
/// touched; only with output_scale > 0.
/// Three limbs: acc = acc2 * 65536 + acc1 * 256 + acc0 in double, rounded once to float.
struct MatmulRowArgs {
    const uint8_t* weights;
    size_t weight_stride_bytes;
    WeightType type;
    const uint8_t* weight_scale;
    RowActivations x;
    float output_scale;
    float* out;
    size_t out_stride;
    size_t m;
    size_t n_begin;
    size_t n_end;
    size_t k;
    int8_t* out_codes = nullptr;
    size_t out_codes_stride = 0;
};

/// All variants give the same bits.
struct MatmulRowVariant {
    const char* name;
    Isa isa;
    void (*pack)(const PackRowArgs& args);
    void (*run)(const MatmulRowArgs& args);
};

/// Variants built into this library, best first, scalar last.
std::span<const MatmulRowVariant* const> matmul_row_variants();

}  // namespace gemlet
