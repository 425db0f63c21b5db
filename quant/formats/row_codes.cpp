// Fields of 2 or 4 bits, low field first. The two widths share one loop: a byte holds 8/bits fields
// and the code is the field minus half the field's range.
#include "quant/formats/row_codes.h"

namespace gemlet {
namespace {

// Bits of a field, 0 for types that are not per-row integers.
unsigned field_bits(WeightType type) {
    if (type == WeightType::i2r) return 2;
    if (type == WeightType::i4r) return 4;
    return type == WeightType::i8r ? 8 : 0;
}

int clamped(int value, int low, int high) {
    if (value < low) return low;
    return value > high ? high : value;
}

void unpack_fours(const uint8_t* bytes, size_t n_bytes, int8_t* codes) {
    for (size_t j = 0; j < n_bytes; ++j) {
        codes[2 * j] = static_cast<int8_t>((bytes[j] & 15) - 8);
        codes[2 * j + 1] = static_cast<int8_t>((bytes[j] >> 4) - 8);
    }
}

void unpack_twos(const uint8_t* bytes, size_t n_bytes, int8_t* codes) {
    for (size_t j = 0; j < n_bytes; ++j) {
        codes[4 * j] = static_cast<int8_t>((bytes[j] & 3) - 2);
        codes[4 * j + 1] = static_cast<int8_t>(((bytes[j] >> 2) & 3) - 2);
        codes[4 * j + 2] = static_cast<int8_t>(((bytes[j] >> 4) & 3) - 2);
        codes[4 * j + 3] = static_cast<int8_t>((bytes[j] >> 6) - 2);
    }
}

}  // namespace

void pack_codes(WeightType type, const int8_t* codes, size_t n_cols, uint8_t* row) {
    const unsigned bits = field_bits(type);
    if (bits == 0) return;
    if (bits == 8) {
        for (size_t i = 0; i < n_cols; ++i) row[i] = static_cast<uint8_t>(codes[i]);
        return;
    }
    const size_t fields = 8 / bits;
    const int half = 1 << (bits - 1);
    for (size_t at = 0; at < n_cols; at += fields) {
        unsigned byte = 0;
        for (size_t j = 0; j < fields; ++j) {
            const int code = at + j < n_cols ? clamped(codes[at + j], -half, half - 1) : 0;
            byte |= static_cast<unsigned>(code + half) << (bits * j);
        }
        row[at / fields] = static_cast<uint8_t>(byte);
    }
}

void unpack_row_codes(WeightType type, const uint8_t* row, size_t n_cols, int8_t* codes) {
    const unsigned bits = field_bits(type);
    if (bits == 0) return;
    if (bits == 8) {
        for (size_t i = 0; i < n_cols; ++i) codes[i] = static_cast<int8_t>(row[i]);
        return;
    }
    // Whole bytes have a loop per width, which compilers vectorize; the generic one does the tail.
    const size_t fields = 8 / bits;
    const unsigned mask = (1U << bits) - 1;
    const int half = 1 << (bits - 1);
    const size_t n_whole = n_cols / fields;
    if (bits == 4) unpack_fours(row, n_whole, codes);
    if (bits == 2) unpack_twos(row, n_whole, codes);
    for (size_t i = n_whole * fields; i < n_cols; ++i) {
        const unsigned field = (row[i / fields] >> (bits * (i % fields))) & mask;
        codes[i] = static_cast<int8_t>(static_cast<int>(field) - half);
    }
}

}  // namespace gemlet
