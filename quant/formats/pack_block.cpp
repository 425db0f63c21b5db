// The inverses of the unpackers in blocks32.cpp and k_quants.cpp.
#include "quant/formats/pack_block.h"

#include <cstring>

#include "quant/formats/unpack_block.h"

namespace gemlet {

void pack_nibbles(const int* codes, uint8_t* bytes) {
    for (size_t j = 0; j < 16; ++j) {
        bytes[j] = static_cast<uint8_t>((codes[j] & 15) | ((codes[j + 16] & 15) << 4));
    }
}

void pack_fifth_bits(const int* codes, uint8_t* bytes) {
    uint32_t bits = 0;
    for (size_t i = 0; i < 32; ++i) bits |= ((static_cast<uint32_t>(codes[i]) >> 4) & 1) << i;
    for (size_t j = 0; j < 4; ++j) bytes[j] = static_cast<uint8_t>(bits >> (8 * j));
}

void pack_twos(const int* codes, uint8_t* bytes) {
    for (size_t i = 0; i < 256; ++i) {
        const size_t run = i / 32;
        bytes[32 * (run / 4) + i % 32] |= static_cast<uint8_t>((codes[i] & 3) << (2 * (run % 4)));
    }
}

void pack_nibble_runs(const int* codes, uint8_t* bytes) {
    for (size_t i = 0; i < 256; ++i) {
        const size_t run = i / 32;
        bytes[32 * (run / 2) + i % 32] |= static_cast<uint8_t>((codes[i] & 15) << (4 * (run % 2)));
    }
}

void pack_bits(const int* codes, int bit, uint8_t* bytes) {
    for (size_t i = 0; i < 256; ++i) {
        bytes[i % 32] |= static_cast<uint8_t>(((codes[i] >> bit) & 1) << (i / 32));
    }
}

void pack_k_pairs(const int* scales, const int* mins, uint8_t* bytes) {
    for (size_t j = 0; j < 4; ++j) {
        bytes[j] = static_cast<uint8_t>(scales[j] | ((scales[j + 4] >> 4) << 6));
        bytes[j + 4] = static_cast<uint8_t>(mins[j] | ((mins[j + 4] >> 4) << 6));
        bytes[j + 8] = static_cast<uint8_t>((scales[j + 4] & 15) | ((mins[j + 4] & 15) << 4));
    }
}

void pack_q3_k_scales(const int* scales, uint8_t* bytes) {
    for (size_t j = 0; j < 16; ++j) {
        const int field = scales[j] + 32;
        bytes[j % 8] |= static_cast<uint8_t>((field & 15) << (4 * (j / 8)));
        bytes[8 + j % 4] |= static_cast<uint8_t>((field >> 4) << (2 * (j / 4)));
    }
}

void pack_sixes(const int* codes, uint8_t* bytes) {
    for (size_t i = 0; i < 256; ++i) {
        const size_t run = i / 32;
        const size_t low = 64 * (run / 4) + 32 * (run % 2) + i % 32;
        bytes[low] |= static_cast<uint8_t>((codes[i] & 15) << (4 * (run / 2 % 2)));
        const size_t high = 128 + 32 * (run / 4) + i % 32;
        bytes[high] |= static_cast<uint8_t>((codes[i] >> 4) << (2 * (run % 4)));
    }
}

void pack_iq4_xs_scales(const int* scales, uint8_t* block) {
    unsigned high = 0;
    for (size_t k = 0; k < 8; ++k) {
        const auto field = static_cast<unsigned>(scales[k] + 32);
        block[4 + k / 2] |= static_cast<uint8_t>((field & 15U) << (4 * (k % 2)));
        high |= (field >> 4U) << (2 * k);
    }
    block[2] = static_cast<uint8_t>(high);
    block[3] = static_cast<uint8_t>(high >> 8U);
}

}  // namespace gemlet
