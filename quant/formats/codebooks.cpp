// Code-book formats: an index selects a vector of 8 (IQ2) or 4 (IQ3) magnitudes, a sign bit per
// weight its sign. Codes are the signed magnitudes, which fit eight bits; scales belong to 16 or 32
// columns. Where only seven signs are stored, the eighth makes the number of minus signs even.
#include "quant/formats/codebooks.h"

#include <bit>

#include "quant/formats/unpack_block.h"

namespace gemlet {

const int8_t kIq2Levels[4] = {8, 25, 43, 0};
const int8_t kIq3XxsLevels[8] = {4, 12, 20, 28, 36, 44, 52, 62};
const int8_t kIq3SLevels[8] = {1, 3, 5, 7, 9, 11, 13, 15};

namespace {

uint32_t with_parity(uint32_t seven) {
    return seven | (static_cast<uint32_t>(std::popcount(seven)) & 1) << 7;
}

// n values of a book entry with fields of the given width, each with its sign bit.
void put_entry(uint32_t entry, unsigned bits, size_t n, const int8_t* levels, uint32_t signs,
               int8_t* codes) {
    const uint32_t mask = (1U << bits) - 1;
    for (size_t j = 0; j < n; ++j) {
        const int8_t level = levels[(entry >> (bits * j)) & mask];
        codes[j] = ((signs >> j) & 1) != 0 ? static_cast<int8_t>(-level) : level;
    }
}

void put_eight(uint16_t entry, uint32_t signs, int8_t* codes) {
    put_entry(entry, 2, 8, kIq2Levels, signs, codes);
}

float quarter_scale(float d, uint32_t n) { return d * (0.5F + static_cast<float>(n)) * 0.25F; }

// The 16 scales of iq2_xs and iq2_s: one nibble for 16 columns.
void unpack_nibble_scales(float d, const uint8_t* bytes, float* scales) {
    for (size_t g = 0; g < 16; ++g) {
        scales[g] = quarter_scale(d, (bytes[g / 2] >> (4 * (g % 2))) & 15U);
    }
}

}  // namespace

void unpack_iq2_xxs(const uint8_t* block, int8_t* codes, float* scales, float* /*mins*/) {
    const float d = load_half(block);
    for (size_t k = 0; k < 8; ++k) {
        const uint8_t* group = block + 2 + 8 * k;
        const uint32_t packed = load_u32(group + 4);  // 4 x 7 sign bits, 4 bits of scale
        scales[2 * k] = quarter_scale(d, packed >> 28);
        scales[2 * k + 1] = scales[2 * k];
        for (size_t l = 0; l < 4; ++l) {
            const uint32_t signs = with_parity((packed >> (7 * l)) & 127);
            put_eight(kIq2XxsBook[group[l]], signs, codes + 32 * k + 8 * l);
        }
    }
}

void unpack_iq2_xs(const uint8_t* block, int8_t* codes, float* scales, float* /*mins*/) {
    unpack_nibble_scales(load_half(block), block + 66, scales);
    for (size_t k = 0; k < 32; ++k) {
        const uint32_t q = load_u16(block + 2 + 2 * k);
        put_eight(kIq2XsBook[q & 511], with_parity(q >> 9), codes + 8 * k);
    }
}

void unpack_iq2_s(const uint8_t* block, int8_t* codes, float* scales, float* /*mins*/) {
    const uint8_t* index = block + 2;
    const uint8_t* signs = block + 34;
    const uint8_t* index_high = block + 66;
    unpack_nibble_scales(load_half(block), block + 74, scales);
    for (size_t k = 0; k < 32; ++k) {
        const uint32_t high = (index_high[k / 4] >> (2 * (k % 4))) & 3U;
        put_eight(kIq2SBook[index[k] | high << 8], signs[k], codes + 8 * k);
    }
}

void unpack_iq3_xxs(const uint8_t* block, int8_t* codes, float* scales, float* /*mins*/) {
    const float d = load_half(block);
    for (size_t k = 0; k < 8; ++k) {
        const uint8_t* index = block + 2 + 8 * k;
        const uint32_t packed = load_u32(block + 66 + 4 * k);
        scales[2 * k] = d * (0.5F + static_cast<float>(packed >> 28)) * 0.5F;
        scales[2 * k + 1] = scales[2 * k];
        for (size_t l = 0; l < 8; ++l) {  // four columns each, two to a sign byte
            const uint32_t signs = with_parity((packed >> (7 * (l / 2))) & 127) >> (4 * (l % 2));
            put_entry(kIq3XxsBook[index[l]], 3, 4, kIq3XxsLevels, signs, codes + 32 * k + 4 * l);
        }
    }
}

void unpack_iq3_s(const uint8_t* block, int8_t* codes, float* scales, float* /*mins*/) {
    const float d = load_half(block);
    const uint8_t* index = block + 2;
    const uint8_t* index_high = block + 66;
    const uint8_t* signs = block + 74;
    const uint8_t* nibbles = block + 106;
    for (size_t k = 0; k < 8; ++k) {
        const uint32_t n = (nibbles[k / 2] >> (4 * (k % 2))) & 15U;
        scales[2 * k] = d * static_cast<float>(1 + 2 * n);
        scales[2 * k + 1] = scales[2 * k];
    }
    for (size_t k = 0; k < 64; ++k) {
        const uint32_t high = (index_high[k / 8] >> (k % 8)) & 1U;
        const uint32_t four_signs = static_cast<uint32_t>(signs[k / 2]) >> (4 * (k % 2));
        put_entry(kIq3SBook[index[k] | high << 8], 3, 4, kIq3SLevels, four_signs, codes + 4 * k);
    }
}

}  // namespace gemlet
