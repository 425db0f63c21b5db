// Speed of attention's variants, in floats and in integers, for E2B's heads (8 query heads on one
// KV head; 256 components in sliding-window layers, 512 in global ones): decode by one worker and
// by the first of two (who share heads, or keys and components), and prefill, as multiply-adds and
// cache bytes per second. One thread. The cache of a decode step is larger than the second-level
// cache from a few thousand keys on. Every variant is compared with scalar before it is timed.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "kernels/attention/attention.h"
#include "kernels/attention_int/attention_int.h"
#include "quant/formats/float16.h"

namespace gemlet {
namespace {

using Variants = std::span<const AttentionVariant* const>;

struct Shape {
    const char* name;
    size_t n_rows;
    size_t heads;
    bool together = false;  // two workers share the call
};
constexpr Shape kShapes[] = {
    {"decode", 1, 8}, {"decode_half", 1, 4}, {"decode_together", 1, 8, true}, {"prefill", 8, 8}};

// Rows start at cache lines, as in the runtime's arena.
template <class T>
struct LineAllocator {
    using value_type = T;
    T* allocate(size_t n) {
        return static_cast<T*>(::operator new (n * sizeof(T), std::align_val_t{64}));
    }
    void deallocate(T* block, size_t) { ::operator delete (block, std::align_val_t{64}); }
};
template <class T>
using Lines = std::vector<T, LineAllocator<T>>;

struct Problem {
    // The last row sees n_keys keys.
    Problem(KvType kv_type, size_t dim, const Shape& shape, size_t keys)
        : type(kv_type),
          head_dim(dim),
          n_queries(shape.n_rows * shape.heads),
          n_keys(keys),
          element_bytes(type == KvType::f32   ? 4U
                        : type == KvType::f16 ? 2U
                                              : 1U),
          k(n_keys * dim * element_bytes),
          v(k.size()),
          scale(n_keys, 0.005F),
          q(n_queries * dim),
          out(q.size()),
          first(n_queries, 0),
          last(n_queries),
          scratch(std::max(attention_scratch_floats(n_queries, dim),
                           attention_int_scratch_floats(n_queries, dim))) {
        std::mt19937 engine(1);
        const auto number = [&] { return static_cast<float>(engine() >> 8U) * 0x1p-24F - 0.5F; };
        for (float& x : q) x = number();
        for (Lines<uint8_t>* cache : {&k, &v}) {
            for (size_t i = 0; i < n_keys * dim; ++i) {
                const float x = number();
                const uint16_t half = f32_to_f16(x);
                if (type == KvType::f32) memcpy(cache->data() + 4 * i, &x, 4);
                if (type == KvType::f16) memcpy(cache->data() + 2 * i, &half, 2);
                if (type == KvType::i8) (*cache)[i] = static_cast<uint8_t>(engine() >> 24U);
            }
        }
        for (size_t i = 0; i < n_queries; ++i) {
            last[i] = static_cast<int32_t>(n_keys - shape.n_rows + i / shape.heads + 1);
        }
    }
    AttentionArgs args() {
        return {.q = q.data(),
                .q_stride = head_dim,
                .out = out.data(),
                .out_stride = head_dim,
                .n_queries = n_queries,
                .head_dim = head_dim,
                .first = first.data(),
                .last = last.data(),
                .kv_type = type,
                .k = k.data(),
                .v = v.data(),
                .slot_stride_bytes = head_dim * element_bytes,
                .n_slots = n_keys,
                .k_scale = scale.data(),
                .v_scale = scale.data(),
                .scale_stride = 1,
                .scratch = scratch.data()};
    }

    KvType type;
    size_t head_dim;
    size_t n_queries;
    size_t n_keys;
    size_t element_bytes;
    Lines<uint8_t> k;
    Lines<uint8_t> v;
    Lines<float> scale;
    Lines<float> q;
    Lines<float> out;
    std::vector<int32_t> first;
    std::vector<int32_t> last;
    Lines<float> scratch;
};

bool agrees_with_scalar(const AttentionVariant& variant, const AttentionVariant& scalar,
                        KvType type, size_t head_dim) {
    Problem problem(type, head_dim, {"", 2, 4}, 100);
    variant.run(problem.args());
    const Lines<float> out = problem.out;
    scalar.run(problem.args());
    return memcmp(out.data(), problem.out.data(), out.size() * sizeof(float)) == 0;
}

// What the first of two workers does.
void run_together(const AttentionVariant& variant, const AttentionArgs& args, float* memory) {
    variant.score(args, {memory, 0, (attention_blocks(args) + 1) / 2});
    variant.weigh(args, {memory, 0, args.n_queries / 2});
    variant.add(args, {memory, 0, args.head_dim / 2});
}

void run_one(benchmark::State& state, const AttentionVariant* variant,
             const AttentionVariant* scalar, KvType type, size_t head_dim, const Shape& shape,
             size_t n_keys) {
    if (!agrees_with_scalar(*variant, *scalar, type, head_dim)) {
        state.SkipWithError("differs from scalar");
        return;
    }
    Problem problem(type, head_dim, shape, n_keys);
    if (shape.together) {
        const size_t n_blocks = attention_blocks(problem.args());
        Lines<float> memory(attention_shared_floats(problem.n_queries, head_dim, n_blocks));
        variant->score(problem.args(), {memory.data(), 0, n_blocks});
        variant->weigh(problem.args(), {memory.data(), 0, problem.n_queries});
        for (auto _ : state) run_together(*variant, problem.args(), memory.data());
    } else {
        for (auto _ : state) variant->run(problem.args());
    }
    const auto keys = static_cast<double>(state.iterations()) * static_cast<double>(n_keys) *
                      (shape.together ? 0.5 : 1.0);
    using benchmark::Counter;
    state.counters["MAC/s"] =
        Counter(2 * keys * static_cast<double>(problem.n_queries * head_dim), Counter::kIsRate);
    state.counters["cache_bytes/s"] =
        Counter(2 * keys * static_cast<double>(head_dim * problem.element_bytes), Counter::kIsRate);
}

// Every head, shape and length for one variant and cache type.
void register_variant(const std::string& name, const AttentionVariant* variant,
                      const AttentionVariant* scalar, KvType type) {
    for (const size_t head_dim : {256, 512}) {
        for (const Shape& shape : kShapes) {
            if (shape.together && variant->score == nullptr) continue;
            for (const size_t n_keys : {64, 512, 4096, 32768}) {
                const std::string full = name + "/d" + std::to_string(head_dim) + "_" + shape.name +
                                         "_keys" + std::to_string(n_keys);
                benchmark::RegisterBenchmark(full.c_str(), run_one, variant, scalar, type, head_dim,
                                             shape, n_keys);
            }
        }
    }
}

void register_all() {
    const IsaSet here = detect_isas();
    const auto runs = [&](const AttentionVariant* variant) {
        return here.has(variant->isa) && variant->isa != Isa::scalar;
    };
    const Variants floats = attention_variants();
    const Variants integers = attention_int_variants();
    for (const AttentionVariant* variant : floats) {
        if (!runs(variant)) continue;
        const std::string name = variant->name;
        register_variant(name + "/f32", variant, floats.back(), KvType::f32);
        register_variant(name + "/f16", variant, floats.back(), KvType::f16);
        register_variant(name + "/i8", variant, floats.back(), KvType::i8);
    }
    for (const AttentionVariant* variant : integers) {
        if (!runs(variant)) continue;
        const std::string name = variant->name;
        register_variant(name + "/i8_integers", variant, integers.back(), KvType::i8);
    }
}

}  // namespace
}  // namespace gemlet

int main(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    gemlet::register_all();
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
}
