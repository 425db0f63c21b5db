// Integer arithmetic on the fields, so that the result depends neither on the rounding mode nor on
// flush-to-zero settings of the calling thread.
#include "quant/formats/float16.h"

#include <bit>

namespace gemlet {
namespace {

constexpr uint32_t kF32Infinity = 0x7F800000;
constexpr uint32_t kF32Quiet = 0x00400000;
constexpr uint32_t kF32Magnitude = 0x7FFFFFFF;
constexpr uint32_t kF16Infinity = 0x7C00;
constexpr uint32_t kF16Quiet = 0x0200;
constexpr uint32_t kMantissaStep = 13;          // float32 has 13 mantissa bits more
constexpr uint32_t kBiasStep = (127 - 15);      // difference of the exponent biases
constexpr uint32_t kF16NormalMin = 113U << 23;  // 2^-14, the smallest normal half
constexpr uint32_t kF16Overflow = 0x477FF000;   // 65,520: halfway to 2^16, rounds to infinity

// Shifts right and rounds to nearest, ties to even. 0 < shift < 32.
uint32_t shift_rounded(uint32_t value, uint32_t shift) {
    const uint32_t quotient = value >> shift;
    const uint32_t rest = value & ((1U << shift) - 1);
    const uint32_t tie = 1U << (shift - 1);
    const bool up = rest > tie || (rest == tie && (quotient & 1) != 0);
    return quotient + (up ? 1 : 0);
}

// A half whose exponent field is zero: mantissa * 2^-24. Normalises it for float32.
uint32_t subnormal_to_f32(uint32_t mantissa) {
    if (mantissa == 0) return 0;
    const auto lead =
        static_cast<uint32_t>(std::countl_zero(mantissa)) - 21;  // places below bit 10
    const uint32_t exponent = kBiasStep + 1 - lead;
    return (exponent << 23) | (((mantissa << lead) & 0x3FF) << kMantissaStep);
}

}  // namespace

float f16_to_f32(uint16_t half) {
    const uint32_t sign = (half & 0x8000U) << 16;
    const uint32_t magnitude = half & 0x7FFFU;
    uint32_t bits = 0;
    if (magnitude > kF16Infinity) {
        bits = kF32Infinity | kF32Quiet | ((magnitude & 0x3FF) << kMantissaStep);
    } else if (magnitude == kF16Infinity) {
        bits = kF32Infinity;
    } else if (magnitude >= 0x400) {
        bits = (magnitude << kMantissaStep) + (kBiasStep << 23);
    } else {
        bits = subnormal_to_f32(magnitude);
    }
    return std::bit_cast<float>(sign | bits);
}

uint16_t f32_to_f16(float value) {
    const auto all = std::bit_cast<uint32_t>(value);
    const uint32_t sign = (all >> 16) & 0x8000;
    const uint32_t bits = all & kF32Magnitude;
    uint32_t half = 0;
    if (bits > kF32Infinity) {
        half = kF16Infinity | kF16Quiet | ((bits >> kMantissaStep) & 0x3FF);
    } else if (bits >= kF16Overflow) {
        half = kF16Infinity;
    } else if (bits >= kF16NormalMin) {
        // A carry out of the mantissa moves into the exponent, which is the right result.
        half = shift_rounded(bits - (kBiasStep << 23), kMantissaStep);
    } else {
        // In units of 2^-24: the mantissa with its hidden bit, shifted by the exponent's distance.
        const uint32_t exponent = bits >> 23;
        if (exponent >= 102) half = shift_rounded((bits & 0x7FFFFF) | 0x800000, 126 - exponent);
    }
    return static_cast<uint16_t>(sign | half);
}

float bf16_to_f32(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

uint16_t f32_to_bf16(float value) {
    const auto bits = std::bit_cast<uint32_t>(value);
    if ((bits & kF32Magnitude) > kF32Infinity) return static_cast<uint16_t>((bits >> 16) | 0x40);
    return static_cast<uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

void f16_to_f32_row(const uint16_t* halves, size_t n, float* out) {
    for (size_t i = 0; i < n; ++i) out[i] = f16_to_f32(halves[i]);
}

void f32_to_f16_row(const float* values, size_t n, uint16_t* out) {
    for (size_t i = 0; i < n; ++i) out[i] = f32_to_f16(values[i]);
}

void bf16_to_f32_row(const uint16_t* bits, size_t n, float* out) {
    for (size_t i = 0; i < n; ++i) out[i] = bf16_to_f32(bits[i]);
}

void f32_to_bf16_row(const float* values, size_t n, uint16_t* out) {
    for (size_t i = 0; i < n; ++i) out[i] = f32_to_bf16(values[i]);
}

}  // namespace gemlet
