// The contract written out: one output after the other, one weight field after the other. Slow, and
// the definition that every other variant must reproduce bit for bit.
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/matmul_row/matmul_row.h"

namespace gemlet {
namespace {

// A NaN becomes `low`, as with the max and min instructions of x86.
float clamp_rint(float v, float low, float high) {
    const float rounded = rintf(v);
    const float above = rounded > low ? rounded : low;
    return above < high ? above : high;
}

float max_abs(const float* x, size_t n) {
    float largest = 0.0F;
    for (size_t i = 0; i < n; ++i) {
        const float a = fabsf(x[i]);
        largest = a > largest ? a : largest;
    }
    return largest;
}

// Splits v into balanced digits to the base 256, each in -128..127, lowest first.
void split_limbs(int32_t v, int8_t* limbs) {
    for (size_t i = 0; i < kFixedPointLimbs; ++i) {
        limbs[i] = static_cast<int8_t>(v & 0xFF);
        v = (v - limbs[i]) / 256;
    }
}

void pack_row(const PackRowArgs& args, size_t row) {
    const size_t n_streams = row_streams(args.type);
    const size_t n_limbs = args.out.n_limbs;
    const size_t limb_bytes = n_streams * args.out.stream_bytes;
    const float* x = args.x + row * args.x_stride;
    int8_t* codes = args.out.codes + row * n_limbs * limb_bytes;
    int32_t* sums = args.out.sums + row * n_limbs;
    memset(codes, 0, n_limbs * limb_bytes);
    memset(sums, 0, n_limbs * sizeof(int32_t));

    float scale = args.input_scale;
    float bound_low = -128.0F;
    float bound_high = 127.0F;
    if (n_limbs == kFixedPointLimbs) {
        bound_high = static_cast<float>(kFixedPointMax);
        bound_low = -bound_high;
        scale = max_abs(x, args.k) / bound_high;
        if (scale == 0.0F) scale = 1.0F;
    }
    args.out.scale[row] = scale;
    for (size_t column = 0; column < args.k; ++column) {
        const float v = clamp_rint(x[column] / scale, bound_low, bound_high);
        int8_t limbs[kFixedPointLimbs];
        split_limbs(static_cast<int32_t>(v), limbs);
        const size_t at = column % n_streams * args.out.stream_bytes + column / n_streams;
        for (size_t limb = 0; limb < n_limbs; ++limb) {
            codes[limb * limb_bytes + at] = limbs[limb];
            sums[limb] += limbs[limb];
        }
    }
}

void pack(const PackRowArgs& args) {
    for (size_t row = 0; row < args.m; ++row) pack_row(args, row);
}

int32_t weight_code(const uint8_t* row, WeightType type, size_t column) {
    switch (type) {
        case WeightType::i2r:
            return (row[column / 4] >> (column % 4 * 2) & 3) - 2;
        case WeightType::i4r:
            return (row[column / 2] >> (column % 2 * 4) & 15) - 8;
        default:
            return static_cast<int8_t>(row[column]);
    }
}

int32_t dot(const MatmulRowArgs& args, const uint8_t* weights, const int8_t* codes) {
    const size_t n_streams = row_streams(args.type);
    int32_t sum = 0;
    for (size_t column = 0; column < args.k; ++column) {
        const size_t at = column % n_streams * args.x.stream_bytes + column / n_streams;
        sum += weight_code(weights, args.type, column) * codes[at];
    }
    return sum;
}

float product(const MatmulRowArgs& args, size_t row, size_t n) {
    const uint8_t* weights = args.weights + n * args.weight_stride_bytes;
    const size_t limb_bytes = row_streams(args.type) * args.x.stream_bytes;
    const int8_t* codes = args.x.codes + row * args.x.n_limbs * limb_bytes;
    double acc = 0.0;
    double worth = 1.0;
    for (size_t limb = 0; limb < args.x.n_limbs; ++limb) {
        acc += worth * dot(args, weights, codes + limb * limb_bytes);
        worth *= 256.0;
    }
    float weight_scale = 0.0F;
    memcpy(&weight_scale, args.weight_scale + n * sizeof(float), sizeof(float));
    return static_cast<float>(acc) * (args.x.scale[row] * weight_scale);
}

void store(const MatmulRowArgs& args, size_t row, size_t n, float y) {
    if (!(args.output_scale > 0.0F)) {
        args.out[row * args.out_stride + n] = y;
        return;
    }
    const float code = clamp_rint(y / args.output_scale, -128.0F, 127.0F);
    if (args.out_codes != nullptr) {
        args.out_codes[row * args.out_codes_stride + n] = static_cast<int8_t>(code);
        return;
    }
    args.out[row * args.out_stride + n] = code * args.output_scale;
}

void run(const MatmulRowArgs& args) {
    for (size_t row = 0; row < args.m; ++row) {
        for (size_t n = args.n_begin; n < args.n_end; ++n) {
            store(args, row, n, product(args, row, n));
        }
    }
}

}  // namespace

extern const MatmulRowVariant matmul_row_scalar;
const MatmulRowVariant matmul_row_scalar = {"scalar", Isa::scalar, pack, run};

}  // namespace gemlet
