// Sizes are those of the GGUF specification (block structures of ggml) and of the QAT mobile
// checkpoint, whose codes lie in rows of whole bytes.
#include "quant/formats/weight_type.h"

namespace gemlet {
namespace {

constexpr WeightTypeInfo kTypes[kWeightTypes] = {
    {WeightType::f32, "f32", 1, 4, false},
    {WeightType::f16, "f16", 1, 2, false},
    {WeightType::bf16, "bf16", 1, 2, false},
    {WeightType::q4_0, "q4_0", 32, 18, true},
    {WeightType::q4_1, "q4_1", 32, 20, true},
    {WeightType::q5_0, "q5_0", 32, 22, true},
    {WeightType::q5_1, "q5_1", 32, 24, true},
    {WeightType::q8_0, "q8_0", 32, 34, true},
    {WeightType::q2_k, "q2_k", 256, 84, true},
    {WeightType::q3_k, "q3_k", 256, 110, true},
    {WeightType::q4_k, "q4_k", 256, 144, true},
    {WeightType::q5_k, "q5_k", 256, 176, true},
    {WeightType::q6_k, "q6_k", 256, 210, true},
    {WeightType::iq2_xxs, "iq2_xxs", 256, 66, true},
    {WeightType::iq2_xs, "iq2_xs", 256, 74, true},
    {WeightType::iq2_s, "iq2_s", 256, 82, true},
    {WeightType::iq3_xxs, "iq3_xxs", 256, 98, true},
    {WeightType::iq3_s, "iq3_s", 256, 110, true},
    {WeightType::iq4_nl, "iq4_nl", 32, 18, true},
    {WeightType::iq4_xs, "iq4_xs", 256, 136, true},
    {WeightType::tq1_0, "tq1_0", 256, 54, true},
    {WeightType::tq2_0, "tq2_0", 256, 66, true},
    {WeightType::mxfp4, "mxfp4", 32, 17, true},
    {WeightType::nvfp4, "nvfp4", 64, 36, true},
    {WeightType::q1_0, "q1_0", 128, 18, true},
    {WeightType::q2_0, "q2_0", 64, 18, true},
    {WeightType::i2r, "i2r", 1, 0, false},
    {WeightType::i4r, "i4r", 1, 0, false},
    {WeightType::i8r, "i8r", 1, 1, false},
};

constexpr bool table_follows_enumerators() {
    for (size_t i = 0; i < kWeightTypes; ++i) {
        if (static_cast<size_t>(kTypes[i].type) != i) return false;
    }
    return true;
}
static_assert(table_follows_enumerators());

}  // namespace

const WeightTypeInfo& weight_type_info(WeightType type) {
    return kTypes[static_cast<size_t>(type)];
}

size_t row_bytes(WeightType type, size_t n_cols) {
    if (type == WeightType::i4r) return (n_cols + 1) / 2;
    if (type == WeightType::i2r) return (n_cols + 3) / 4;
    const WeightTypeInfo& info = weight_type_info(type);
    return n_cols / info.block_weights * info.block_bytes;
}

}  // namespace gemlet
