// The definition of the family's arithmetic; every variant gives the same bits.
//
// For each group of 32 columns: integer sums (exact), times the weight's scale, minus the minimum
// times the sum of the activation's codes, all times the activation's scale, fused steps in the
// order written here. Group g is added to lane g % 8, so that a vector of eight groups of one row
// (decode) and a vector of one group of eight rows (prefill) can both follow it; the lanes are
// added from the first to the last at the end.
#include <cmath>

#include "kernels/matmul_block/block_traits.h"
#include "kernels/matmul_block/matmul_block.h"
#include "quant/formats/unpack_codes.h"

namespace gemlet {
namespace {

// Comparisons are written so that NaN falls to the second choice, as in SIMD min and max.
void pack_group(const float* x, int8_t* codes, float* scale, int16_t* sums) {
    float largest = 0.0F;
    for (size_t i = 0; i < kBlockGroup; ++i) {
        const float magnitude = std::fabs(x[i]);
        largest = magnitude > largest ? magnitude : largest;
    }
    *scale = largest / 127.0F;
    sums[0] = sums[1] = 0;
    for (size_t i = 0; i < kBlockGroup; ++i) {
        float v = *scale != 0.0F ? std::nearbyint(x[i] / *scale) : 0.0F;
        v = v > -127.0F ? v : -127.0F;
        v = v < 127.0F ? v : 127.0F;
        codes[i] = static_cast<int8_t>(v);
        sums[i / kBlockSum] = static_cast<int16_t>(sums[i / kBlockSum] + codes[i]);
    }
}

void pack(const PackBlockArgs& args) {
    for (size_t r = 0; r < args.m; ++r) {
        for (size_t c = 0; c < args.k; c += kBlockGroup) {
            pack_group(args.x + r * args.x_stride + c, args.out.codes + r * args.k + c,
                       args.out.scale + (r * args.k + c) / kBlockGroup,
                       args.out.sums + (r * args.k + c) / kBlockSum);
        }
    }
}

// One weight row in its integer view.
struct Row {
    const int8_t* codes;
    const float* scales;
    const float* mins;
};

float sum16(const int8_t* a, const int8_t* b) {
    int sum = 0;
    for (size_t i = 0; i < kBlockSum; ++i) sum += a[i] * b[i];
    return static_cast<float>(sum);
}

// Scaled sum of one group of 32 columns, without the activation's scale.
float group_sum(const Row& w, const int8_t* x, const int16_t* sums, const BlockTraits& traits) {
    const float first = sum16(w.codes, x);
    const float second = sum16(w.codes + kBlockSum, x + kBlockSum);
    if (!traits.halves) {
        const float t = w.scales[0] * (first + second);  // small integers: the sum is exact
        return traits.mins ? std::fma(-w.mins[0], static_cast<float>(sums[0] + sums[1]), t) : t;
    }
    float t = std::fma(w.scales[1], second, w.scales[0] * first);
    if (!traits.mins) return t;
    t = std::fma(-w.mins[0], static_cast<float>(sums[0]), t);
    return std::fma(-w.mins[1], static_cast<float>(sums[1]), t);
}

float dot(const Row& w, const BlockActivations& x, size_t row, size_t k,
          const BlockTraits& traits) {
    float lanes[kBlockLanes] = {};
    for (size_t c = 0; c < k; c += kBlockGroup) {
        const size_t at = row * k + c;
        const Row group{w.codes + c, w.scales + c / kBlockSum, w.mins + c / kBlockSum};
        const float t = group_sum(group, x.codes + at, x.sums + at / kBlockSum, traits);
        float& lane = lanes[c / kBlockGroup % kBlockLanes];
        lane = std::fma(x.scale[at / kBlockGroup], t, lane);
    }
    float sum = lanes[0];
    for (int i = 1; i < kBlockLanes; ++i) sum += lanes[i];
    return sum;
}

void run(const MatmulBlockArgs& args) {
    const BlockTraits traits = block_traits(args.type);
    auto* scales = reinterpret_cast<float*>(args.scratch);
    float* mins = scales + args.k / kBlockSum;
    auto* codes = reinterpret_cast<int8_t*>(mins + args.k / kBlockSum);
    for (size_t n = args.n_begin; n < args.n_end; ++n) {
        unpack_codes(args.type, args.weights + n * args.weight_stride_bytes, args.k, codes, scales,
                     mins);
        for (size_t r = 0; r < args.m; ++r) {
            args.out[r * args.out_stride + n] =
                dot({codes, scales, mins}, args.x, r, args.k, traits);
        }
    }
}

}  // namespace

extern const MatmulBlockVariant matmul_block_scalar;
const MatmulBlockVariant matmul_block_scalar = {"matmul_block_scalar", Isa::scalar, pack, run};

}  // namespace gemlet
