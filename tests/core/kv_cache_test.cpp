#include "core/text/kv_cache.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstring>

#include "core/engine/engine_parts.h"
#include "quant/formats/float16.h"
#include "tests/core/tiny_model.h"

namespace gemlet::test {
namespace {

ModelConfig tiny_config() { return config_from_json(tiny_e2b().config).value(); }

TextWeights weights_with_scales(float k, float v) {
    TextWeights weights;
    weights.layers.resize(6);
    for (LayerWeights& layer : weights.layers) {
        layer.k_cache_scale = k;
        layer.v_cache_scale = v;
    }
    return weights;
}

KvCache make_cache(KvType type, size_t context = 200, float k = 0, float v = 0) {
    return std::move(
        KvCache::create(tiny_config(), weights_with_scales(k, v), {type, context, 16}).value());
}

const VectorVariant& vectors() {
    static const Kernels kernels = select_kernels(detect_isas());
    return *kernels.vector;
}

std::vector<float> row(size_t n, float first) {
    std::vector<float> out(n);
    for (size_t i = 0; i < n; ++i) out[i] = first + 0.125F * static_cast<float>(i);
    return out;
}

TEST(KvCache, has_a_ring_for_windows_and_all_positions_for_global_layers) {
    const KvCache cache = make_cache(KvType::f16);
    EXPECT_EQ(cache.layer(0).n_slots, 8U - 1 + 16 + cache.spare_slots());
    EXPECT_EQ(cache.layer(2).n_slots, 200U);
    EXPECT_EQ(cache.layer(0).slot_stride_bytes, 2U * 16 * 2);
    EXPECT_EQ(cache.layer(2).slot_stride_bytes, 2U * 32 * 2);
    // A ring is never longer than the context.
    EXPECT_EQ(make_cache(KvType::f16, 20).layer(0).n_slots, 20U);
}

TEST(KvCache, plans_what_it_takes) {
    const ModelConfig config = tiny_config();
    for (const KvType type : {KvType::f32, KvType::f16, KvType::i8}) {
        const size_t ring = 8 - 1 + 16 + 16;
        const size_t scale = type == KvType::i8 ? 2 * sizeof(float) : 0;  // one per head
        const size_t exact = 2 * (2 * ring * (2 * 16 * kv_element_bytes(type) + scale) +
                                  300 * (2 * 32 * kv_element_bytes(type) + scale));
        const size_t planned = KvCache::planned_bytes(config, {type, 300, 16});
        EXPECT_GE(planned, exact);
        EXPECT_LT(planned, exact + 12 * kPlanAlign);
    }
}

TEST(KvCache, wraps_at_window) {
    const KvCache cache = make_cache(KvType::f32);
    const KvLayer& layer = cache.layer(0);
    const size_t n = layer.n_slots;
    for (size_t position = 0; position < 2 * n + 3; ++position) {
        for (size_t head = 0; head < 2; ++head) {
            const auto first = static_cast<float>(10 * position + head);
            write_kv(vectors(), KvType::f32, layer, position, head, row(16, first).data(),
                     row(16, -first).data());
        }
    }
    for (size_t position = n + 3; position < 2 * n + 3; ++position) {
        for (size_t head = 0; head < 2; ++head) {
            const size_t at = position % n * layer.slot_stride_bytes + head * 16 * sizeof(float);
            const auto first = static_cast<float>(10 * position + head);
            EXPECT_EQ(std::memcmp(layer.k + at, row(16, first).data(), 64), 0) << position;
            EXPECT_EQ(std::memcmp(layer.v + at, row(16, -first).data(), 64), 0) << position;
        }
    }
}

TEST(KvCache, rounds_halves_to_nearest_even) {
    const KvCache cache = make_cache(KvType::f16);
    const KvLayer& layer = cache.layer(2);
    std::vector<float> key(32, 1.0F + 0x1p-11F);  // a tie
    key[1] = 0.1F;
    key[2] = 1e6F;  // beyond the largest half
    key[3] = -1e-8F;
    write_kv(vectors(), KvType::f16, layer, 5, 1, key.data(), key.data());
    for (size_t i = 0; i < 32; ++i) {
        uint16_t half = 0;
        std::memcpy(&half, layer.k + 5 * layer.slot_stride_bytes + (32 + i) * 2, 2);
        EXPECT_EQ(half, f32_to_f16(key[i])) << i;
    }
}

TEST(KvCache, int8_scales_follow_each_head_and_position) {
    const KvCache cache = make_cache(KvType::i8);
    const KvLayer& layer = cache.layer(2);
    const auto key = row(32, -2.0F);
    std::vector<float> value(32, 0.0F);
    write_kv(vectors(), KvType::i8, layer, 3, 1, key.data(), value.data());
    const size_t scale_at = 3 * 2 + 1;
    EXPECT_EQ(layer.k_scale[scale_at], 2.0F / 127.0F);
    EXPECT_EQ(layer.v_scale[scale_at], 1.0F);  // zeros
    const auto* codes = reinterpret_cast<const int8_t*>(layer.k + 3 * layer.slot_stride_bytes + 32);
    for (size_t i = 0; i < 32; ++i) {
        EXPECT_EQ(codes[i], static_cast<int>(std::nearbyint(key[i] / (2.0F / 127.0F)))) << i;
    }
}

TEST(KvCache, static_scales_saturate_and_round_ties_to_even) {
    const KvCache cache = make_cache(KvType::i8, 200, 0.5F, 0.25F);
    const KvLayer& layer = cache.layer(0);
    std::vector<float> key(16, 0.0F);
    const float inputs[] = {0.25F, 0.75F, -0.25F, -0.75F, 63.5F, 64.0F, 1e9F, -64.0F, -1e9F, -0.0F};
    const int expected[] = {0, 2, 0, -2, 127, 127, 127, -128, -128, 0};
    std::copy(std::begin(inputs), std::end(inputs), key.begin());
    write_kv(vectors(), KvType::i8, layer, 0, 0, key.data(), key.data());
    for (size_t i = 0; i < std::size(inputs); ++i) {
        EXPECT_EQ(reinterpret_cast<const int8_t*>(layer.k)[i], expected[i]) << inputs[i];
    }
    EXPECT_EQ(layer.k_scale[0], 0.5F);
    EXPECT_EQ(layer.v_scale[0], 0.25F);
}

/// Scale of V in one owning layer of the QAT checkpoint, and what the engine makes of it.
struct Bound {
    float k;
    float v;
    bool divided;
};
Bound bind_with(size_t layer, float k, float v) {
    const TempTree tree;
    TinyModel model = tiny_qat();
    const std::string at = "layers." + std::to_string(layer) + ".self_attn.";
    model.tensors.at(at + "k_cache_scale") = float_tensor("F32", {}, {k});
    model.tensors.at(at + "v_cache_scale") = float_tensor("F32", {}, {v});
    auto checkpoint = Checkpoint::open(write_directory(tree, model));
    if (!checkpoint) {
        ADD_FAILURE() << checkpoint.error().message();
        return {};
    }
    auto weights = bind_text_weights(*checkpoint, checkpoint->config());
    if (!weights) {
        ADD_FAILURE() << weights.error().message();
        return {};
    }
    return {weights->layers[layer].k_cache_scale, weights->layers[layer].v_cache_scale,
            weights->kv_scales_divided};
}

TEST(KvCache, four_bit_scales_of_global_layers_are_divided_by_16) {
    auto checkpoint = Checkpoint::open(GEMLET_TEST_DATA "/golden/qat/checkpoint");
    ASSERT_TRUE(checkpoint.has_value());
    const auto& layers = checkpoint->config().layers;
    size_t global = 0;
    while (!layers[global].is_global) ++global;
    ASSERT_TRUE(layers[global].owns_kv);
    ASSERT_FALSE(layers[0].is_global);

    Bound bound = bind_with(global, 0.32F, 0.756F);
    EXPECT_TRUE(bound.divided);
    EXPECT_EQ(bound.k, 0.02F);
    EXPECT_EQ(bound.v, 0.04725F);
    bound = bind_with(global, 0.32F, 0.25F);
    EXPECT_FALSE(bound.divided);
    EXPECT_EQ(bound.k, 0.32F);
    bound = bind_with(0, 0.32F, 0.756F);
    EXPECT_FALSE(bound.divided);
    EXPECT_EQ(bound.v, 0.756F);
}

size_t resident_pages(const uint8_t* data, size_t bytes) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    auto begin = reinterpret_cast<uintptr_t>(data) / page * page;
    const uintptr_t end = reinterpret_cast<uintptr_t>(data) + bytes;
    std::vector<unsigned char> present((end - begin + page - 1) / page);
    // NOLINTNEXTLINE(performance-no-int-to-ptr): an address
    EXPECT_EQ(mincore(reinterpret_cast<void*>(begin), end - begin, present.data()), 0);
    size_t n = 0;
    for (const unsigned char flags : present) n += flags & 1U;
    return n;
}

TEST(KvCache, untouched_positions_of_global_layers_are_not_resident) {
    const size_t context = 4096;
    const KvCache cache = make_cache(KvType::f32, context);
    const KvLayer& layer = cache.layer(2);
    const size_t bytes = context * layer.slot_stride_bytes;
    ASSERT_EQ(bytes, 1U << 20U);
    EXPECT_LE(resident_pages(layer.k, bytes), 2U);  // neighbours may share its ends
    const auto values = row(32, 1);
    for (size_t position = 0; position < 64; ++position) {
        for (size_t head = 0; head < 2; ++head) {
            write_kv(vectors(), KvType::f32, layer, position, head, values.data(), values.data());
        }
    }
    const size_t touched =
        64 * layer.slot_stride_bytes / static_cast<size_t>(sysconf(_SC_PAGESIZE));
    EXPECT_LE(resident_pages(layer.k, bytes), touched + 2);
    EXPECT_GE(resident_pages(layer.k, bytes), touched);
}

}  // namespace
}  // namespace gemlet::test
