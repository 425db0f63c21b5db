// K-quants: 256 weights under one or two half scales, with sub-blocks of 16 or 32 that have integer
// scales (and minimums) of their own. Where fields of several weights share a byte, the weights lie
// 32 apart (64 in q6_k's low nibbles): the loops below walk bytes and write runs of 32 columns.
#include "quant/formats/k_quants.h"

#include "quant/formats/unpack_block.h"

namespace gemlet {
namespace {

// Two-bit fields of 64 bytes: each half of 32 bytes yields 4 runs of 32 codes.
void unpack_twos(const uint8_t* bytes, int8_t* codes) {
    for (size_t run = 0; run < 8; ++run) {
        const uint8_t* from = bytes + 32 * (run / 4);
        for (size_t j = 0; j < 32; ++j) {
            codes[32 * run + j] = static_cast<int8_t>((from[j] >> (2 * (run % 4))) & 3);
        }
    }
}

// Nibbles of 128 bytes: 32 bytes yield two runs of 32 codes, low nibbles first.
void unpack_nibble_runs(const uint8_t* bytes, int8_t* codes) {
    for (size_t run = 0; run < 8; ++run) {
        const uint8_t* from = bytes + 32 * (run / 2);
        for (size_t j = 0; j < 32; ++j) {
            codes[32 * run + j] = static_cast<int8_t>((from[j] >> (4 * (run % 2))) & 15);
        }
    }
}

// Scales and minimums of q4_k and q5_k, each for 32 columns.
void unpack_k_pairs(const uint8_t* block, float* scales, float* mins) {
    const float d = load_half(block);
    const float dmin = load_half(block + 2);
    for (size_t j = 0; j < 8; ++j) {
        const KScaleMin pair = k_scale_min(block + 4, j);
        scales[2 * j] = d * static_cast<float>(pair.scale);
        mins[2 * j] = dmin * static_cast<float>(pair.min);
        scales[2 * j + 1] = scales[2 * j];
        mins[2 * j + 1] = mins[2 * j];
    }
}

}  // namespace

KScaleMin k_scale_min(const uint8_t* s, size_t j) {
    if (j < 4) return {s[j] & 63, s[j + 4] & 63};
    return {(s[j + 4] & 15) | ((s[j - 4] >> 6) << 4), (s[j + 4] >> 4) | ((s[j] >> 6) << 4)};
}

int q3_k_scale(const uint8_t* s, size_t j) {
    const int low = (s[j % 8] >> (4 * (j / 8))) & 15;
    const int high = (s[8 + j % 4] >> (2 * (j / 4))) & 3;
    return (low | (high << 4)) - 32;
}

void unpack_q2_k(const uint8_t* block, int8_t* codes, float* scales, float* mins) {
    const float d = load_half(block + 80);
    const float dmin = load_half(block + 82);
    for (size_t g = 0; g < 16; ++g) {
        scales[g] = d * static_cast<float>(block[g] & 15);
        mins[g] = dmin * static_cast<float>(block[g] >> 4);
    }
    unpack_twos(block + 16, codes);
}

void unpack_q3_k(const uint8_t* block, int8_t* codes, float* scales, float* /*mins*/) {
    const float d = load_half(block + 108);
    for (size_t g = 0; g < 16; ++g) {
        scales[g] = d * static_cast<float>(q3_k_scale(block + 96, g));
    }
    unpack_twos(block + 32, codes);
    // A set mask bit means "no subtraction".
    for (size_t i = 0; i < 256; ++i) {
        const int high = (block[i % 32] >> (i / 32)) & 1;
        codes[i] = static_cast<int8_t>(codes[i] + 4 * high - 4);
    }
}

void unpack_q4_k(const uint8_t* block, int8_t* codes, float* scales, float* mins) {
    unpack_k_pairs(block, scales, mins);
    unpack_nibble_runs(block + 16, codes);
}

void unpack_q5_k(const uint8_t* block, int8_t* codes, float* scales, float* mins) {
    unpack_k_pairs(block, scales, mins);
    unpack_nibble_runs(block + 48, codes);
    for (size_t i = 0; i < 256; ++i) {
        const int high = (block[16 + i % 32] >> (i / 32)) & 1;
        codes[i] = static_cast<int8_t>(codes[i] + 16 * high);
    }
}

void unpack_q6_k(const uint8_t* block, int8_t* codes, float* scales, float* /*mins*/) {
    const float d = load_half(block + 208);
    for (size_t g = 0; g < 16; ++g) {
        scales[g] = d * static_cast<float>(static_cast<int8_t>(block[192 + g]));
    }
    for (size_t run = 0; run < 8; ++run) {  // 32 columns each
        const uint8_t* low = block + 64 * (run / 4) + 32 * (run % 2);
        const uint8_t* high = block + 128 + 32 * (run / 4);
        const size_t low_shift = 4 * (run / 2 % 2);
        for (size_t j = 0; j < 32; ++j) {
            const int four = (low[j] >> low_shift) & 15;
            const int two = (high[j] >> (2 * (run % 4))) & 3;
            codes[32 * run + j] = static_cast<int8_t>((four | (two << 4)) - 32);
        }
    }
}

}  // namespace gemlet
