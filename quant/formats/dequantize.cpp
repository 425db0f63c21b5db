// Quantised rows pass block by block through the integer view, so each format is written once. That
// costs no accuracy: subtracting a minimum of +0 changes no bit of a product, and for q4_1 and q5_1
// subtracting -m is adding m.
#include "quant/formats/dequantize.h"

#include <bit>
#include <cstring>

#include "quant/formats/unpack_block.h"
#include "quant/formats/unpack_codes.h"

namespace gemlet {
namespace {

void dequantize_halves(const uint8_t* row, size_t n_cols, float* out) {
    for (size_t i = 0; i < n_cols; ++i) out[i] = load_half(row + 2 * i);
}

void dequantize_bf16(const uint8_t* row, size_t n_cols, float* out) {
    for (size_t i = 0; i < n_cols; ++i) {
        out[i] = std::bit_cast<float>(load_u16(row + 2 * i) << 16);
    }
}

// One piece of at most kMaxBlockWeights columns that starts at a block.
void dequantize_piece(WeightType type, const uint8_t* bytes, size_t n_cols, float* out) {
    int8_t codes[kMaxBlockWeights];
    float scales[kMaxBlockGroups];
    float mins[kMaxBlockGroups];
    unpack_codes(type, bytes, n_cols, codes, scales, mins);
    for (size_t at = 0; at < n_cols; at += kCodeGroup) {
        const float scale = scales[at / kCodeGroup];
        const float min = mins[at / kCodeGroup];
        const size_t end = n_cols - at < kCodeGroup ? n_cols : at + kCodeGroup;
        for (size_t i = at; i < end; ++i) out[i] = scale * static_cast<float>(codes[i]) - min;
    }
}

}  // namespace

void dequantize_row(WeightType type, const uint8_t* row, size_t n_cols, float* out) {
    if (type == WeightType::f32) {
        if (n_cols > 0) std::memcpy(out, row, n_cols * sizeof(float));
        return;
    }
    if (type == WeightType::f16) return dequantize_halves(row, n_cols, out);
    if (type == WeightType::bf16) return dequantize_bf16(row, n_cols, out);
    // 256 columns are a whole number of blocks, and of bytes, in every type.
    const size_t piece_bytes = row_bytes(type, kMaxBlockWeights);
    while (n_cols > 0) {
        const size_t n_piece = n_cols < kMaxBlockWeights ? n_cols : kMaxBlockWeights;
        dequantize_piece(type, row, n_piece, out);
        row += piece_bytes;
        out += n_piece;
        n_cols -= n_piece;
    }
}

}  // namespace gemlet
