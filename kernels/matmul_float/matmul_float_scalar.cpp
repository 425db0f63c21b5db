// The contract written out: one output after the other. The definition that every other variant
// reproduces bit for bit.
#include <math.h>
#include <string.h>

#include "kernels/matmul_float/matmul_float.h"
#include "kernels/vector/canonical.h"
#include "quant/formats/dequantize.h"
#include "quant/formats/float16.h"

namespace gemlet {

extern const MatmulFloatVariant matmul_float_scalar;

namespace {

float weight_at(const MatmulFloatArgs& args, const uint8_t* row, size_t i) {
    if (args.type == WeightType::f16 || args.type == WeightType::bf16) {
        uint16_t bits = 0;
        memcpy(&bits, row + i * sizeof(bits), sizeof(bits));
        return args.type == WeightType::f16 ? f16_to_f32(bits) : bf16_to_f32(bits);
    }
    float value = 0.0F;
    memcpy(&value, row + i * sizeof(value), sizeof(value));
    return value;
}

float dot(const MatmulFloatArgs& args, const float* x, const uint8_t* row) {
    const size_t padded_k = (args.k + kLanes - 1) / kLanes * kLanes;
    float lanes[kLanes] = {};
    for (size_t i = 0; i < padded_k; ++i) {
        const bool inside = i < args.k;
        const float a = inside ? x[i] : 0.0F;
        const float w = inside ? weight_at(args, row, i) : 0.0F;
        lanes[i % kLanes] = fmaf(a, w, lanes[i % kLanes]);
    }
    return canonical_tree(lanes);
}

float clamp(float v, float low, float high) {
    const float above = v > low ? v : low;
    return above < high ? above : high;
}

void run(const MatmulFloatArgs& args) {
    const bool plain = args.type == WeightType::f32 || args.type == WeightType::f16 ||
                       args.type == WeightType::bf16;
    for (size_t n = args.n_begin; n < args.n_end; ++n) {
        const uint8_t* row = args.weights + n * args.weight_stride_bytes;
        MatmulFloatArgs row_args = args;
        if (!plain) {
            dequantize_row(args.type, row, args.k, args.scratch);
            row = reinterpret_cast<const uint8_t*>(args.scratch);
            row_args.type = WeightType::f32;
        }
        for (size_t m = 0; m < args.m; ++m) {
            args.out[m * args.out_stride + n] = dot(row_args, args.x + m * args.x_stride, row);
        }
    }
}

// Here a tile is a row as it is.
void pack(const PackFloatArgs& args) {
    for (size_t m = 0; m < args.m; ++m) {
        float* to = args.out + m * packed_tile_floats(matmul_float_scalar, args.k);
        const float* from = args.x + m * args.x_stride;
        for (size_t i = 0; i < args.k; ++i) to[i] = clamp(from[i], args.low, args.high);
    }
}

void run_packed(const PackedFloatArgs& args) {
    run({args.weights, args.weight_stride_bytes, args.type, args.x,
         packed_tile_floats(matmul_float_scalar, args.k), args.out, args.out_stride, args.m,
         args.n_begin, args.n_end, args.k, args.scratch});
    for (size_t m = 0; m < args.m; ++m) {
        float* out = args.out + m * args.out_stride;
        for (size_t n = args.n_begin; n < args.n_end; ++n) {
            out[n] = clamp(out[n], args.low, args.high);
        }
    }
}

}  // namespace

const MatmulFloatVariant matmul_float_scalar = {"scalar", Isa::scalar, run, 1, 1, pack, run_packed};

}  // namespace gemlet
