// Keys and values of one session. Only layers that own them have a place here. Sliding-window
// layers keep a ring of slots (position p in slot p % n_slots), global layers a slot for every
// position of the context, reserved but touched only as far as used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/memory/plan.h"
#include "core/model/config.h"
#include "core/model/weights.h"
#include "core/status.h"
#include "kernels/kernels.h"

namespace gemlet {

/// Keys and values of one layer. Shapes: k, v [n_slots, n_kv_heads, head_dim] of the cache's type;
/// k_scale, v_scale [n_slots, n_kv_heads], int8 only.
struct KvLayer {
    uint8_t* k = nullptr;
    uint8_t* v = nullptr;
    float* k_scale = nullptr;
    float* v_scale = nullptr;
    size_t n_slots = 0;
    size_t n_kv_heads = 0;
    size_t head_dim = 0;
    size_t slot_stride_bytes = 0;
    float static_k_scale = 0;  // int8: the checkpoint's scales; 0 = one per head and position
    float static_v_scale = 0;
};

struct KvCacheShape {
    KvType type = KvType::f16;
    size_t context = 0;  // positions
    size_t chunk = 1;    // most rows written in one step
};

/// Bytes of one element.
size_t kv_element_bytes(KvType type);

class KvCache {
  public:
    /// Reserves the memory. Errors: `out_of_memory`.
    static Result<KvCache> create(const ModelConfig& config, const TextWeights& weights,
                                  const KvCacheShape& shape);
    /// The rows a cache of this shape would take, for printing and limits: bytes when the context
    /// is full.
    static size_t planned_bytes(const ModelConfig& config, const KvCacheShape& shape);

    KvType type() const { return type_; }
    size_t context() const { return context_; }
    /// Layer's own storage; index below the number of owning layers.
    const KvLayer& layer(size_t index) const { return layers_[index]; }
    /// Copies what a cache of the same shape holds of the first `n_positions` positions written.
    void copy_from(const KvCache& other, size_t n_positions);
    /// How far back positions may be dropped without losing what a window needs.
    size_t spare_slots() const { return spare_slots_; }

  private:
    std::vector<KvLayer> layers_;
    Arena arena_;
    KvType type_ = KvType::f16;
    size_t context_ = 0;
    size_t spare_slots_ = 0;
};

/// Writes the key and value of one KV head at one position, converting to the cache's type.
/// Shapes: key, value [head_dim]. codes of an int8 cache: clamp(rint(x / scale)).
void write_kv(const VectorVariant& vector, KvType type, const KvLayer& layer, size_t position,
              size_t head, const float* key, const float* value);

}  // namespace gemlet
