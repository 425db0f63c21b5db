// Dispatch over the formats. Each block function writes its codes in column order and repeats its
// sub-block scale for every 16 columns, so that callers know a single shape.
#include "quant/formats/unpack_codes.h"

#include "quant/formats/float16.h"
#include "quant/formats/row_codes.h"
#include "quant/formats/unpack_block.h"

namespace gemlet {
namespace {

struct CodeFacts {
    WeightType type;
    UnpackBlock unpack;  // null for float and per-row types
    int range;           // largest |code|
    bool has_mins;
};

constexpr CodeFacts kFacts[kWeightTypes] = {
    {WeightType::f32, nullptr, 0, false},
    {WeightType::f16, nullptr, 0, false},
    {WeightType::bf16, nullptr, 0, false},
    {WeightType::q4_0, unpack_q4_0, 8, false},
    {WeightType::q4_1, unpack_q4_1, 15, true},
    {WeightType::q5_0, unpack_q5_0, 16, false},
    {WeightType::q5_1, unpack_q5_1, 31, true},
    {WeightType::q8_0, unpack_q8_0, 128, false},
    {WeightType::q2_k, unpack_q2_k, 3, true},
    {WeightType::q3_k, unpack_q3_k, 4, false},
    {WeightType::q4_k, unpack_q4_k, 15, true},
    {WeightType::q5_k, unpack_q5_k, 31, true},
    {WeightType::q6_k, unpack_q6_k, 32, false},
    {WeightType::iq2_xxs, unpack_iq2_xxs, 43, false},
    {WeightType::iq2_xs, unpack_iq2_xs, 43, false},
    {WeightType::iq2_s, unpack_iq2_s, 43, false},
    {WeightType::iq3_xxs, unpack_iq3_xxs, 62, false},
    {WeightType::iq3_s, unpack_iq3_s, 15, false},
    {WeightType::iq4_nl, unpack_iq4_nl, 127, false},
    {WeightType::iq4_xs, unpack_iq4_xs, 127, false},
    {WeightType::tq1_0, unpack_tq1_0, 1, false},
    {WeightType::tq2_0, unpack_tq2_0, 2, false},  // the unused field 3 would be 2
    {WeightType::mxfp4, unpack_mxfp4, 12, false},
    {WeightType::nvfp4, unpack_nvfp4, 12, false},
    {WeightType::q1_0, unpack_q1_0, 1, false},
    {WeightType::q2_0, unpack_q2_0, 2, false},
    {WeightType::i2r, nullptr, 2, false},
    {WeightType::i4r, nullptr, 8, false},
    {WeightType::i8r, nullptr, 128, false},
};

constexpr bool facts_follow_enumerators() {
    for (size_t i = 0; i < kWeightTypes; ++i) {
        if (static_cast<size_t>(kFacts[i].type) != i) return false;
    }
    return true;
}
static_assert(facts_follow_enumerators());

const CodeFacts& facts_of(WeightType type) { return kFacts[static_cast<size_t>(type)]; }

void fill(float* values, size_t n, float value) {
    for (size_t i = 0; i < n; ++i) values[i] = value;
}

}  // namespace

bool has_codes(WeightType type) { return facts_of(type).range != 0; }

bool has_mins(WeightType type) { return facts_of(type).has_mins; }

int code_range(WeightType type) { return facts_of(type).range; }

float load_half(const uint8_t* bytes) { return f16_to_f32(static_cast<uint16_t>(load_u16(bytes))); }

void unpack_codes(WeightType type, const uint8_t* row, size_t n_cols, int8_t* codes, float* scales,
                  float* mins) {
    if (!has_codes(type)) return;
    const CodeFacts& facts = facts_of(type);
    const size_t n_groups = (n_cols + kCodeGroup - 1) / kCodeGroup;
    if (!facts.has_mins) fill(mins, n_groups, 0.0F);
    if (facts.unpack == nullptr) {
        unpack_row_codes(type, row, n_cols, codes);
        fill(scales, n_groups, 1.0F);
        return;
    }
    const WeightTypeInfo& info = weight_type_info(type);
    const size_t n_blocks = n_cols / info.block_weights;
    const size_t block_groups = info.block_weights / kCodeGroup;
    for (size_t b = 0; b < n_blocks; ++b) {
        facts.unpack(row + b * info.block_bytes, codes + b * info.block_weights,
                     scales + b * block_groups, mins + b * block_groups);
    }
}

}  // namespace gemlet
