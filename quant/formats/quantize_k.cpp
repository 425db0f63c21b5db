// K-quants in two steps: float scales (and minimums) of the sub-blocks, rounded to integers under
// the block's half scales; then codes, rounded with the scales as stored. Rounding a sub-block's
// scale down can leave its largest value up to top/2 block scales outside: it is clamped.
#include <cmath>
#include <cstring>

#include "quant/formats/pack_block.h"
#include "quant/formats/quantize_block.h"

namespace gemlet {
namespace {

// Sub-blocks with scale and minimum: q2_k, q4_k, q5_k.
struct RangedBlock {
    size_t sub_weights;  // columns of a sub-block
    int top;             // largest code
    int scale_top;       // largest integer scale and minimum
    int codes[256];
    int scales[16];
    int mins[16];
};

// Sub-blocks of 16 with a signed scale only: q3_k, q6_k.
struct SignedBlock {
    int half;        // codes are -half..half-1
    int scale_half;  // scales are -scale_half..scale_half-1
    int codes[256];
    int scales[16];
};

// Stores the two halves at d_bytes and d_bytes + 2.
void fit_ranged(const float* values, RangedBlock& block, uint8_t* d_bytes) {
    const size_t n_subs = 256 / block.sub_weights;
    float scales[16] = {};
    float mins[16] = {};
    for (size_t k = 0; k < n_subs; ++k) {
        const ValueRange range = range_of(values + k * block.sub_weights, block.sub_weights);
        const float low = std::fmin(range.low, 0.0F);  // minimums are subtracted and not negative
        mins[k] = -low;
        scales[k] = (range.high * 0.5F - low * 0.5F) / (0.5F * static_cast<float>(block.top));
    }
    const auto scale_top = static_cast<float>(block.scale_top);
    const float d = store_half(extreme_of(scales, n_subs) / scale_top, d_bytes);
    const float dmin = store_half(extreme_of(mins, n_subs) / scale_top, d_bytes + 2);
    for (size_t k = 0; k < n_subs; ++k) {
        block.scales[k] = nearest_code(scales[k], d, 0, block.scale_top);
        block.mins[k] = nearest_code(mins[k], dmin, 0, block.scale_top);
        const float scale = d * static_cast<float>(block.scales[k]);
        const float min = dmin * static_cast<float>(block.mins[k]);
        for (size_t i = k * block.sub_weights; i < (k + 1) * block.sub_weights; ++i) {
            block.codes[i] = nearest_code(values[i] + min, scale, 0, block.top);
        }
    }
}

void fit_signed(const float* values, SignedBlock& block, uint8_t* d_bytes) {
    float scales[16] = {};
    for (size_t k = 0; k < 16; ++k) {
        scales[k] = extreme_of(values + 16 * k, 16) / static_cast<float>(-block.half);
    }
    const float d =
        store_half(extreme_of(scales, 16) / static_cast<float>(-block.scale_half), d_bytes);
    for (size_t k = 0; k < 16; ++k) {
        block.scales[k] = nearest_code(scales[k], d, -block.scale_half, block.scale_half - 1);
        const float scale = d * static_cast<float>(block.scales[k]);
        for (size_t i = 16 * k; i < 16 * (k + 1); ++i) {
            block.codes[i] = nearest_code(values[i], scale, -block.half, block.half - 1);
        }
    }
}

}  // namespace

void quantize_q2_k(const float* values, uint8_t* block) {
    std::memset(block, 0, 84);
    RangedBlock fit{
        .sub_weights = 16, .top = 3, .scale_top = 15, .codes = {}, .scales = {}, .mins = {}};
    fit_ranged(values, fit, block + 80);
    for (size_t g = 0; g < 16; ++g) {
        block[g] = static_cast<uint8_t>(fit.scales[g] | (fit.mins[g] << 4));
    }
    pack_twos(fit.codes, block + 16);
}

void quantize_q3_k(const float* values, uint8_t* block) {
    std::memset(block, 0, 110);
    SignedBlock fit{.half = 4, .scale_half = 32, .codes = {}, .scales = {}};
    fit_signed(values, fit, block + 108);
    for (int& code : fit.codes) code += 4;  // bit 2 of the sum: "no subtraction"
    pack_bits(fit.codes, 2, block);
    pack_twos(fit.codes, block + 32);
    pack_q3_k_scales(fit.scales, block + 96);
}

void quantize_q4_k(const float* values, uint8_t* block) {
    std::memset(block, 0, 144);
    RangedBlock fit{
        .sub_weights = 32, .top = 15, .scale_top = 63, .codes = {}, .scales = {}, .mins = {}};
    fit_ranged(values, fit, block);
    pack_k_pairs(fit.scales, fit.mins, block + 4);
    pack_nibble_runs(fit.codes, block + 16);
}

void quantize_q5_k(const float* values, uint8_t* block) {
    std::memset(block, 0, 176);
    RangedBlock fit{
        .sub_weights = 32, .top = 31, .scale_top = 63, .codes = {}, .scales = {}, .mins = {}};
    fit_ranged(values, fit, block);
    pack_k_pairs(fit.scales, fit.mins, block + 4);
    pack_bits(fit.codes, 4, block + 16);
    pack_nibble_runs(fit.codes, block + 48);
}

void quantize_q6_k(const float* values, uint8_t* block) {
    std::memset(block, 0, 210);
    SignedBlock fit{.half = 32, .scale_half = 128, .codes = {}, .scales = {}};
    fit_signed(values, fit, block + 208);
    for (size_t g = 0; g < 16; ++g) block[192 + g] = static_cast<uint8_t>(fit.scales[g]);
    for (int& code : fit.codes) code += 32;
    pack_sixes(fit.codes, block);
}

}  // namespace gemlet
