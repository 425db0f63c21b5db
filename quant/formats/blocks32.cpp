// Blocks of 32 weights. In all of them byte j of the nibble field holds weight j in its low and
// weight j + 16 in its high nibble, so a block's halves are its two code groups; one loop with a
// table of 16 levels serves the plain and the non-linear nibble formats.
#include <bit>

#include "quant/formats/unpack_block.h"

namespace gemlet {

const int8_t kIq4Levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                               1,    13,   25,  38,  53,  69,  89,  113};

namespace {

constexpr int8_t kSignedNibble[16] = {-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7};
constexpr int8_t kPlainNibble[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
// E2M1 times two, so that all levels are integers.
constexpr int8_t kFp4Doubled[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// Low nibbles of n bytes, then their high nibbles.
void unpack_nibbles(const uint8_t* bytes, size_t n, const int8_t* levels, int8_t* codes) {
    for (size_t j = 0; j < n; ++j) {
        codes[j] = levels[bytes[j] & 15];
        codes[j + n] = levels[bytes[j] >> 4];
    }
}

// Nibbles with a fifth bit each: bit i of high belongs to weight i.
void unpack_fives(const uint8_t* bytes, uint32_t high, int offset, int8_t* codes) {
    unpack_nibbles(bytes, 16, kPlainNibble, codes);
    for (size_t i = 0; i < 32; ++i) {
        const int fifth = static_cast<int>((high >> i) & 1) << 4;
        codes[i] = static_cast<int8_t>((codes[i] | fifth) - offset);
    }
}

void set_pair(float* values, float value) {
    values[0] = value;
    values[1] = value;
}

// Unsigned E4M3 (the top bit is ignored), halved because the levels are doubled; 0x7F means zero.
float nvfp4_scale(uint8_t byte) {
    if (byte == 0 || byte == 0x7F) return 0.0F;
    const uint32_t exponent = (byte >> 3) & 15;
    const uint32_t mantissa = byte & 7;
    if (exponent == 0) return static_cast<float>(mantissa) * 0x1p-10F;
    return std::bit_cast<float>(((exponent + 119) << 23) | (mantissa << 20));
}

// 2^(exponent - 128); the two smallest are subnormal float32.
float mxfp4_scale(uint8_t exponent) {
    const uint32_t bits = exponent < 2 ? 0x200000U << exponent : (exponent - 1U) << 23;
    return std::bit_cast<float>(bits);
}

}  // namespace

void unpack_q4_0(const uint8_t* block, int8_t* codes, float* scales, float* /*mins*/) {
    set_pair(scales, load_half(block));
    unpack_nibbles(block + 2, 16, kSignedNibble, codes);
}

void unpack_q4_1(const uint8_t* block, int8_t* codes, float* scales, float* mins) {
    set_pair(scales, load_half(block));
    set_pair(mins, -load_half(block + 2));
    unpack_nibbles(block + 4, 16, kPlainNibble, codes);
}

void unpack_q5_0(const uint8_t* block, int8_t* codes, float* scales, float* /*mins*/) {
    set_pair(scales, load_half(block));
    unpack_fives(block + 6, load_u32(block + 2), 16, codes);
}

void unpack_q5_1(const uint8_t* block, int8_t* codes, float* scales, float* mins) {
    set_pair(scales, load_half(block));
    set_pair(mins, -load_half(block + 2));
    unpack_fives(block + 8, load_u32(block + 4), 0, codes);
}

void unpack_q8_0(const uint8_t* block, int8_t* codes, float* scales, float* /*mins*/) {
    set_pair(scales, load_half(block));
    for (size_t i = 0; i < 32; ++i) codes[i] = static_cast<int8_t>(block[2 + i]);
}

void unpack_iq4_nl(const uint8_t* block, int8_t* codes, float* scales, float* /*mins*/) {
    set_pair(scales, load_half(block));
    unpack_nibbles(block + 2, 16, kIq4Levels, codes);
}

void unpack_iq4_xs(const uint8_t* block, int8_t* codes, float* scales, float* /*mins*/) {
    const float d = load_half(block);
    const uint32_t high = load_u16(block + 2);
    for (size_t k = 0; k < 8; ++k) {
        const uint32_t low = (block[4 + k / 2] >> (4 * (k % 2))) & 15U;
        const auto scale = static_cast<int>(low | ((high >> (2 * k)) & 3) << 4) - 32;
        set_pair(scales + 2 * k, d * static_cast<float>(scale));
        unpack_nibbles(block + 8 + 16 * k, 16, kIq4Levels, codes + 32 * k);
    }
}

void unpack_mxfp4(const uint8_t* block, int8_t* codes, float* scales, float* /*mins*/) {
    set_pair(scales, mxfp4_scale(block[0]));
    unpack_nibbles(block + 1, 16, kFp4Doubled, codes);
}

void unpack_nvfp4(const uint8_t* block, int8_t* codes, float* scales, float* /*mins*/) {
    for (size_t k = 0; k < 4; ++k) {
        scales[k] = nvfp4_scale(block[k]);
        unpack_nibbles(block + 4 + 8 * k, 8, kFp4Doubled, codes + 16 * k);
    }
}

}  // namespace gemlet
