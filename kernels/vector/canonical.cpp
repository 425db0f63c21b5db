// exp is 2^n * exp(r) with n = round(x / ln 2) and r = x - n ln 2 in [-0.347, 0.347]. Adding
// 1.5 * 2^23 rounds to an integer and leaves n in the low mantissa bits, so that no conversion is
// needed, which would be undefined for NaN; ln 2 is subtracted in two parts. The polynomial
// r + r^2 q(r) approximates exp(r) - 1, with q the degree 4 minimax fit of (exp(r) - 1 - r) / r^2
// in the weight r^2 / exp(r) (own fit, error 2^-28). tanh uses the same n and r, but keeps
// exp(x) - 1 in full precision: tanh|x| = -e / (2 + e) with e = exp(-2|x|) - 1.
#include "kernels/vector/canonical.h"

#include <math.h>

#include <bit>
#include <cstdint>

#include "kernels/vector/exp_constants.h"

namespace gemlet {
namespace {

// exp(x) = scale * (1 + less_one).
struct SplitExp {
    float scale;
    float less_one;
};

SplitExp split_exp(float x) {
    // The operands of both selections are in the order that lets NaN through, as with MINPS.
    const float below = kExpHigh < x ? kExpHigh : x;
    const float clamped = kExpLow > below ? kExpLow : below;
    const float shifted = fmaf(clamped, kLog2E, kRoundShift);
    const float n = shifted - kRoundShift;
    const float r = fmaf(n, -kLn2Low, fmaf(n, -kLn2High, clamped));
    float q = kExpPoly[4];
    q = fmaf(q, r, kExpPoly[3]);
    q = fmaf(q, r, kExpPoly[2]);
    q = fmaf(q, r, kExpPoly[1]);
    q = fmaf(q, r, kExpPoly[0]);
    const uint32_t bits = (std::bit_cast<uint32_t>(shifted) << 23) + 0x3F800000U;
    return {std::bit_cast<float>(bits), fmaf(r * r, q, r)};
}

}  // namespace

float canonical_exp(float x) {
    const SplitExp e = split_exp(x);
    return x < kExpLow ? 0.0F : fmaf(e.less_one, e.scale, e.scale);
}

float canonical_tanh(float x) {
    const SplitExp e = split_exp(-2.0F * fabsf(x));
    const float expm1 = fmaf(e.less_one, e.scale, e.scale - 1.0F);
    return copysignf(-expm1 / (2.0F + expm1), x);
}

float canonical_tree(const float* lanes) {
    float sums[kLanes];
    for (size_t i = 0; i < kLanes; ++i) sums[i] = lanes[i];
    for (size_t half = kLanes / 2; half > 0; half /= 2) {
        for (size_t i = 0; i < half; ++i) sums[i] = sums[i] + sums[i + half];
    }
    return sums[0];
}

}  // namespace gemlet
