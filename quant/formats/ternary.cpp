// Formats of one or two bits and the base-3 format: a code per weight from -1..1 (2 for the field
// value that encoders do not use), one half scale per block.
#include "quant/formats/unpack_block.h"

namespace gemlet {
namespace {

void fill_scales(float* scales, size_t n, float value) {
    for (size_t g = 0; g < n; ++g) scales[g] = value;
}

// Digit of a byte that holds base-3 digits as a fraction of 256: multiplying by a power of three
// modulo 256 brings the digit to the front, times three carries it over the point.
int8_t ternary_code(uint8_t byte, uint32_t power_of_three) {
    const uint32_t fraction = (byte * power_of_three) & 255;
    return static_cast<int8_t>(static_cast<int>((fraction * 3) >> 8) - 1);
}

// n_bytes bytes yield n_digits runs of n_bytes codes each.
void unpack_ternary_runs(const uint8_t* bytes, size_t n_bytes, size_t n_digits, int8_t* codes) {
    uint32_t power = 1;
    for (size_t p = 0; p < n_digits; ++p, power *= 3) {
        for (size_t j = 0; j < n_bytes; ++j) codes[p * n_bytes + j] = ternary_code(bytes[j], power);
    }
}

}  // namespace

void unpack_tq1_0(const uint8_t* block, int8_t* codes, float* scales, float* /*mins*/) {
    fill_scales(scales, 16, load_half(block + 52));
    unpack_ternary_runs(block, 32, 5, codes);
    unpack_ternary_runs(block + 32, 16, 5, codes + 160);
    unpack_ternary_runs(block + 48, 4, 4, codes + 240);
}

void unpack_tq2_0(const uint8_t* block, int8_t* codes, float* scales, float* /*mins*/) {
    fill_scales(scales, 16, load_half(block + 64));
    for (size_t run = 0; run < 8; ++run) {  // 32 columns each
        const uint8_t* from = block + 32 * (run / 4);
        for (size_t j = 0; j < 32; ++j) {
            const int field = (from[j] >> (2 * (run % 4))) & 3;
            codes[32 * run + j] = static_cast<int8_t>(field - 1);
        }
    }
}

void unpack_q1_0(const uint8_t* block, int8_t* codes, float* scales, float* /*mins*/) {
    fill_scales(scales, 8, load_half(block));
    for (size_t i = 0; i < 128; ++i) {
        const bool set = ((block[2 + i / 8] >> (i % 8)) & 1) != 0;
        codes[i] = set ? int8_t{1} : int8_t{-1};
    }
}

void unpack_q2_0(const uint8_t* block, int8_t* codes, float* scales, float* /*mins*/) {
    fill_scales(scales, 4, load_half(block));
    for (size_t i = 0; i < 64; ++i) {
        const int field = (block[2 + i / 4] >> (2 * (i % 4))) & 3;
        codes[i] = static_cast<int8_t>(field - 1);
    }
}

}  // namespace gemlet
