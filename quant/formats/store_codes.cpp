// Codes of the integer view back into the bytes of their block; scales and minimums lie in other
// bytes of it and stay.
#include <algorithm>
#include <cstring>

#include "quant/formats/fit.h"
#include "quant/formats/fit_group.h"
#include "quant/formats/pack_block.h"
#include "quant/formats/unpack_block.h"

namespace gemlet {
namespace {

/// Codes of the view as fields 0..2*offset-1 of a block.
void to_fields(WeightType type, const int8_t* codes, size_t n, int* fields) {
    int offset = 0;
    int top = 255;
    switch (type) {
        case WeightType::q4_0:
            offset = 8, top = 15;
            break;
        case WeightType::q5_0:
            offset = 16, top = 31;
            break;
        case WeightType::q3_k:
            offset = 4, top = 7;
            break;
        case WeightType::q6_k:
            offset = 32, top = 63;
            break;
        case WeightType::q2_k:
            top = 3;
            break;
        case WeightType::q4_1:
        case WeightType::q4_k:
            top = 15;
            break;
        case WeightType::q5_1:
        case WeightType::q5_k:
            top = 31;
            break;
        default:
            break;
    }
    const bool levels = type == WeightType::iq4_nl || type == WeightType::iq4_xs;
    for (size_t i = 0; i < n; ++i) {
        fields[i] = levels ? level_index(codes[i]) : std::clamp(codes[i] + offset, 0, top);
    }
}

void store_block(WeightType type, const int8_t* codes, uint8_t* block) {
    const WeightTypeInfo& info = weight_type_info(type);
    if (type == WeightType::q8_0) {
        std::memcpy(block + 2, codes, info.block_weights);
        return;
    }
    int fields[kMaxBlockWeights];
    to_fields(type, codes, info.block_weights, fields);
    switch (type) {
        case WeightType::q4_0:
        case WeightType::iq4_nl:
            return pack_nibbles(fields, block + 2);
        case WeightType::q4_1:
            return pack_nibbles(fields, block + 4);
        case WeightType::q5_0:
            pack_fifth_bits(fields, block + 2);
            return pack_nibbles(fields, block + 6);
        case WeightType::q5_1:
            pack_fifth_bits(fields, block + 4);
            return pack_nibbles(fields, block + 8);
        case WeightType::iq4_xs:
            for (size_t k = 0; k < 8; ++k) pack_nibbles(fields + 32 * k, block + 8 + 16 * k);
            return;
        case WeightType::q2_k:
            std::memset(block + 16, 0, 64);
            return pack_twos(fields, block + 16);
        case WeightType::q3_k:
            std::memset(block, 0, 96);
            pack_bits(fields, 2, block);
            return pack_twos(fields, block + 32);
        case WeightType::q4_k:
            std::memset(block + 16, 0, 128);
            return pack_nibble_runs(fields, block + 16);
        case WeightType::q5_k:
            std::memset(block + 16, 0, 160);
            pack_bits(fields, 4, block + 16);
            return pack_nibble_runs(fields, block + 48);
        case WeightType::q6_k:
            std::memset(block, 0, 192);
            return pack_sixes(fields, block);
        default:
            return;
    }
}

}  // namespace

void store_codes(WeightType type, const int8_t* codes, size_t n_cols, uint8_t* row) {
    if (!can_fit(type)) return;
    const WeightTypeInfo& info = weight_type_info(type);
    for (size_t at = 0; at < n_cols; at += info.block_weights) {
        store_block(type, codes + at, row + at / info.block_weights * info.block_bytes);
    }
}

}  // namespace gemlet
