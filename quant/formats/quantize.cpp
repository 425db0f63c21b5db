// Blocks of 32 and the dispatch. Symmetric formats have one code more on the negative side, so the
// scale's sign is chosen such that the value of largest magnitude meets that end exactly.
#include "quant/formats/quantize.h"

#include <cmath>
#include <cstring>

#include "quant/formats/float16.h"
#include "quant/formats/pack_block.h"
#include "quant/formats/quantize_block.h"
#include "quant/formats/unpack_block.h"

namespace gemlet {
namespace {

constexpr float kLargestHalf = 65504.0F;

void store_u16(uint32_t value, uint8_t* bytes) {
    bytes[0] = static_cast<uint8_t>(value);
    bytes[1] = static_cast<uint8_t>(value >> 8);
}

// Codes 0..2*half-1 that stand for -half..half-1.
void signed_codes(const float* values, int half, uint8_t* scale, int* codes) {
    const float d = store_half(extreme_of(values, 32) / static_cast<float>(-half), scale);
    for (size_t i = 0; i < 32; ++i) codes[i] = nearest_code(values[i], d, -half, half - 1) + half;
}

// Codes 0..top over the block's range; the scale's half, then the minimum's.
void ranged_codes(const float* values, int top, uint8_t* halves, int* codes) {
    const ValueRange range = range_of(values, 32);
    // Halves before subtracting, so that the width of the range cannot overflow.
    const float width = range.high * 0.5F - range.low * 0.5F;
    const float d = store_half(width / (0.5F * static_cast<float>(top)), halves);
    const float m = store_half(range.low, halves + 2);
    for (size_t i = 0; i < 32; ++i) codes[i] = nearest_code(values[i] - m, d, 0, top);
}

// Index of the nearest non-linear level; the levels ascend.
int nearest_level(float value) {
    int best = 0;
    for (int k = 1; k < 16; ++k) {
        const float middle = 0.5F * static_cast<float>(kIq4Levels[k - 1] + kIq4Levels[k]);
        if (value > middle) best = k;
    }
    return best;
}

void quantize_floats(WeightType type, const float* values, size_t n_cols, uint8_t* row) {
    if (type == WeightType::f32) {
        if (n_cols > 0) std::memcpy(row, values, n_cols * sizeof(float));
        return;
    }
    for (size_t i = 0; i < n_cols; ++i) {
        const bool half = type == WeightType::f16;
        store_u16(half ? f32_to_f16(values[i]) : f32_to_bf16(values[i]), row + 2 * i);
    }
}

QuantizeBlock block_quantizer(WeightType type) {
    switch (type) {
        case WeightType::q4_0:
            return quantize_q4_0;
        case WeightType::q4_1:
            return quantize_q4_1;
        case WeightType::q5_0:
            return quantize_q5_0;
        case WeightType::q5_1:
            return quantize_q5_1;
        case WeightType::q8_0:
            return quantize_q8_0;
        case WeightType::q2_k:
            return quantize_q2_k;
        case WeightType::q3_k:
            return quantize_q3_k;
        case WeightType::q4_k:
            return quantize_q4_k;
        case WeightType::q5_k:
            return quantize_q5_k;
        case WeightType::q6_k:
            return quantize_q6_k;
        case WeightType::iq4_nl:
            return quantize_iq4_nl;
        default:
            return nullptr;
    }
}

bool is_float(WeightType type) {
    return type == WeightType::f32 || type == WeightType::f16 || type == WeightType::bf16;
}

}  // namespace

int nearest_code(float value, float step, int low, int high) {
    const float scaled = step == 0.0F ? 0.0F : value / step;
    if (!(scaled > static_cast<float>(low))) return low;
    if (scaled >= static_cast<float>(high)) return high;
    return static_cast<int>(std::lrint(scaled));
}

float extreme_of(const float* values, size_t n) {
    float extreme = 0.0F;
    for (size_t i = 0; i < n; ++i) {
        if (std::fabs(values[i]) > std::fabs(extreme)) extreme = values[i];
    }
    return extreme;
}

ValueRange range_of(const float* values, size_t n) {
    ValueRange range{INFINITY, -INFINITY};
    for (size_t i = 0; i < n; ++i) {
        if (values[i] < range.low) range.low = values[i];
        if (values[i] > range.high) range.high = values[i];
    }
    return range.low <= range.high ? range : ValueRange{0.0F, 0.0F};
}

float store_half(float value, uint8_t* bytes) {
    if (std::isnan(value)) value = 0.0F;  // the width of a range from infinity to infinity
    if (value > kLargestHalf) value = kLargestHalf;
    if (value < -kLargestHalf) value = -kLargestHalf;
    const uint16_t half = f32_to_f16(value);
    store_u16(half, bytes);
    return f16_to_f32(half);
}

void quantize_q4_0(const float* values, uint8_t* block) {
    int codes[32];
    signed_codes(values, 8, block, codes);
    pack_nibbles(codes, block + 2);
}

void quantize_q4_1(const float* values, uint8_t* block) {
    int codes[32];
    ranged_codes(values, 15, block, codes);
    pack_nibbles(codes, block + 4);
}

void quantize_q5_0(const float* values, uint8_t* block) {
    int codes[32];
    signed_codes(values, 16, block, codes);
    pack_fifth_bits(codes, block + 2);
    pack_nibbles(codes, block + 6);
}

void quantize_q5_1(const float* values, uint8_t* block) {
    int codes[32];
    ranged_codes(values, 31, block, codes);
    pack_fifth_bits(codes, block + 4);
    pack_nibbles(codes, block + 8);
}

void quantize_q8_0(const float* values, uint8_t* block) {
    const float d = store_half(std::fabs(extreme_of(values, 32)) / 127.0F, block);
    for (size_t i = 0; i < 32; ++i) {
        block[2 + i] = static_cast<uint8_t>(nearest_code(values[i], d, -127, 127));
    }
}

void quantize_iq4_nl(const float* values, uint8_t* block) {
    const float d = store_half(extreme_of(values, 32) / -127.0F, block);
    int codes[32];
    for (size_t i = 0; i < 32; ++i) codes[i] = nearest_level(d == 0.0F ? 0.0F : values[i] / d);
    pack_nibbles(codes, block + 2);
}

bool can_quantize(WeightType type) { return is_float(type) || block_quantizer(type) != nullptr; }

bool quantize_row(WeightType type, const float* values, size_t n_cols, uint8_t* row) {
    if (is_float(type)) {
        quantize_floats(type, values, n_cols, row);
        return true;
    }
    const QuantizeBlock quantize = block_quantizer(type);
    if (quantize == nullptr) return false;
    const WeightTypeInfo& info = weight_type_info(type);
    for (size_t b = 0; b < n_cols / info.block_weights; ++b) {
        quantize(values + b * info.block_weights, row + b * info.block_bytes);
    }
    return true;
}

}  // namespace gemlet
