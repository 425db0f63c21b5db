// A ring holds the window before the first row of a chunk, the chunk itself, and a few spare slots
// so that rejected drafts or an edited turn can be dropped without losing older positions.
#include "core/text/kv_cache.h"

#include <algorithm>

namespace gemlet {
namespace {

constexpr size_t kSpareSlots = 16;

KvLayer shape_layer(const ModelConfig& config, const KvCacheShape& shape, size_t index) {
    const LayerConfig& layer = config.layers[index];
    KvLayer out;
    out.n_kv_heads = layer.n_kv_heads;
    out.head_dim = layer.head_dim;
    out.n_slots = layer.is_global
                      ? shape.context
                      : std::min(shape.context, config.window - 1 + shape.chunk + kSpareSlots);
    out.slot_stride_bytes = layer.n_kv_heads * layer.head_dim * kv_element_bytes(shape.type);
    return out;
}

void plan_layer(MemoryPlan& plan, const KvCacheShape& shape, KvLayer& layer) {
    plan.add("keys", &layer.k, layer.n_slots * layer.slot_stride_bytes);
    plan.add("values", &layer.v, layer.n_slots * layer.slot_stride_bytes);
    if (shape.type == KvType::i8) {
        plan.add("key scales", &layer.k_scale, layer.n_slots * layer.n_kv_heads);
        plan.add("value scales", &layer.v_scale, layer.n_slots * layer.n_kv_heads);
    }
}

void write_one(const VectorVariant& vector, KvType type, const float* x, size_t n, uint8_t* out,
               float static_scale, float* scale) {
    if (type == KvType::f32) {
        std::copy_n(x, n, reinterpret_cast<float*>(out));
    } else if (type == KvType::f16) {
        vector.to_f16(x, reinterpret_cast<uint16_t*>(out), n);
    } else {
        float step = static_scale;
        if (step == 0) {
            const float largest = vector.max_abs(x, n);
            step = largest > 0 ? largest / 127.0F : 1.0F;
        }
        *scale = step;
        vector.to_i8(x, reinterpret_cast<int8_t*>(out), n, step);
    }
}

}  // namespace

size_t kv_element_bytes(KvType type) {
    switch (type) {
        case KvType::f32:
            return sizeof(float);
        case KvType::f16:
            return sizeof(uint16_t);
        case KvType::i8:
            return sizeof(int8_t);
    }
    return sizeof(float);
}

size_t KvCache::planned_bytes(const ModelConfig& config, const KvCacheShape& shape) {
    MemoryPlan plan;
    KvLayer layer;
    for (size_t i = 0; i < config.n_owning_layers; ++i) {
        layer = shape_layer(config, shape, i);
        plan_layer(plan, shape, layer);
    }
    return plan.total_bytes();
}

Result<KvCache> KvCache::create(const ModelConfig& config, const TextWeights& weights,
                                const KvCacheShape& shape) {
    KvCache cache;
    cache.type_ = shape.type;
    cache.context_ = shape.context;
    cache.spare_slots_ = kSpareSlots;
    cache.layers_.resize(config.n_owning_layers);
    MemoryPlan plan;
    for (size_t i = 0; i < config.n_owning_layers; ++i) {
        KvLayer& layer = cache.layers_[i];
        layer = shape_layer(config, shape, i);
        layer.static_k_scale = weights.layers[i].k_cache_scale;
        layer.static_v_scale = weights.layers[i].v_cache_scale;
        plan_layer(plan, shape, layer);
    }
    Result<Arena> arena = Arena::allocate(plan);
    GEMLET_TRY(arena);
    cache.arena_ = std::move(*arena);
    return cache;
}

void KvCache::copy_from(const KvCache& other, size_t n_positions) {
    for (size_t i = 0; i < layers_.size(); ++i) {
        const KvLayer& from = other.layers_[i];
        const KvLayer& to = layers_[i];
        const size_t n_slots = std::min(n_positions, from.n_slots);  // a ring: all of it
        std::copy_n(from.k, n_slots * from.slot_stride_bytes, to.k);
        std::copy_n(from.v, n_slots * from.slot_stride_bytes, to.v);
        if (type_ != KvType::i8) continue;
        std::copy_n(from.k_scale, n_slots * from.n_kv_heads, to.k_scale);
        std::copy_n(from.v_scale, n_slots * from.n_kv_heads, to.v_scale);
    }
}

void write_kv(const VectorVariant& vector, KvType type, const KvLayer& layer, size_t position,
              size_t head, const float* key, const float* value) {
    const size_t slot = position % layer.n_slots;
    const size_t at =
        slot * layer.slot_stride_bytes + head * layer.head_dim * kv_element_bytes(type);
    const size_t scale_at = slot * layer.n_kv_heads + head;
    const bool scaled = type == KvType::i8;
    write_one(vector, type, key, layer.head_dim, layer.k + at, layer.static_k_scale,
              scaled ? layer.k_scale + scale_at : nullptr);
    write_one(vector, type, value, layer.head_dim, layer.v + at, layer.static_v_scale,
              scaled ? layer.v_scale + scale_at : nullptr);
}

}  // namespace gemlet
