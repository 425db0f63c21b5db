// Speed of the float matmul's variants: prefill as multiply-adds per second, decode (one row) as
// weight bytes per second from weights larger than any cache. One thread. Shapes: E2B's attention
// and feed-forward matrices, and for packed inputs those of the vision encoders. Every variant is
// compared with scalar before it is timed.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <new>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "kernels/matmul_float/matmul_float.h"
#include "quant/formats/float16.h"

namespace gemlet {
namespace {

constexpr size_t kStreamedBytes = size_t{128} << 20U;

struct Shape {
    const char* name;
    size_t n;
    size_t k;
};
constexpr Shape kShapes[] = {{"q", 2048, 1536}, {"ffn_up", 6144, 1536}, {"ffn_down", 1536, 6144}};

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
    Problem(WeightType weight_type, size_t m_rows, size_t n_rows, size_t n_cols)
        : type(weight_type),
          m(m_rows),
          n(n_rows),
          k(n_cols),
          stride(row_bytes(type, k)),
          weights(n * stride),
          x(m * k),
          out(m * n),
          scratch(k + 64) {
        std::mt19937 engine(1);
        for (float& v : x) v = static_cast<float>(engine() >> 8U) * 0x1p-24F - 0.5F;
        for (size_t i = 0; i < n * k; ++i) {
            const float w = static_cast<float>(engine() >> 8U) * 0x1p-24F - 0.5F;
            const uint16_t half = type == WeightType::f16 ? f32_to_f16(w) : f32_to_bf16(w);
            if (type == WeightType::f32) memcpy(weights.data() + i * 4, &w, 4);
            if (type != WeightType::f32) memcpy(weights.data() + i * 2, &half, 2);
        }
    }
    MatmulFloatArgs args(size_t n_begin, size_t n_end) {
        return {weights.data(), stride, type, x.data(),      k, out.data(), n, m,
                n_begin,        n_end,  k,    scratch.data()};
    }

    WeightType type;
    size_t m;
    size_t n;
    size_t k;
    size_t stride;
    Lines<uint8_t> weights;
    Lines<float> x;
    Lines<float> out;
    Lines<float> scratch;
};

bool agrees_with_scalar(const MatmulFloatVariant& variant, WeightType type, size_t m, size_t k) {
    Problem problem(type, std::min<size_t>(m, 5), 9, k);
    variant.run(problem.args(0, 9));
    const Lines<float> out = problem.out;
    matmul_float_variants().back()->run(problem.args(0, 9));
    return memcmp(out.data(), problem.out.data(), out.size() * sizeof(float)) == 0;
}

void run_one(benchmark::State& state, const MatmulFloatVariant* variant, WeightType type, size_t m,
             Shape shape) {
    if (!agrees_with_scalar(*variant, type, m, shape.k)) {
        state.SkipWithError("differs from scalar");
        return;
    }
    const size_t streamed = kStreamedBytes / row_bytes(type, shape.k) / shape.n * shape.n;
    const size_t n = m == 1 ? std::max(shape.n, streamed) : shape.n;
    const size_t step = m == 1 ? shape.n : std::min<size_t>(shape.n, 256);
    Problem problem(type, m, n, shape.k);
    size_t at = 0;
    for (auto _ : state) {
        variant->run(problem.args(at, at + step));
        at = at + 2 * step > n ? 0 : at + step;
    }
    const auto rows = static_cast<double>(state.iterations()) * static_cast<double>(step);
    using benchmark::Counter;
    state.counters["MAC/s"] = Counter(rows * static_cast<double>(m * shape.k), Counter::kIsRate);
    state.counters["weight_bytes/s"] =
        Counter(rows * static_cast<double>(problem.stride), Counter::kIsRate);
}

// The product of many rows with its packing, in calls of 64 columns, as the encoders make them.
void run_packed(benchmark::State& state, const MatmulFloatVariant* variant, size_t m,
                std::string name, size_t n, size_t k) {
    Problem problem(WeightType::bf16, m, n, k);
    const size_t n_tiles = (m + variant->tile_rows - 1) / variant->tile_rows;
    Lines<float> packed(n_tiles * packed_tile_floats(*variant, k));
    Lines<float> scratch(packed_scratch_floats(*variant, k));
    const auto multiply = [&] {
        variant->pack({problem.x.data(), k, m, k, -INFINITY, INFINITY, packed.data()});
        for (size_t at = 0; at < n; at += 64) {
            variant->run_packed({problem.weights.data(), problem.stride, problem.type,
                                 packed.data(), problem.out.data(), n, m, at, std::min(at + 64, n),
                                 k, -INFINITY, INFINITY, scratch.data()});
        }
    };
    multiply();
    const Lines<float> out = problem.out;
    variant->run(problem.args(0, n));
    if (memcmp(out.data(), problem.out.data(), out.size() * sizeof(float)) != 0) {
        state.SkipWithError(("differs from unpacked: " + name).c_str());
        return;
    }
    for (auto _ : state) multiply();
    state.counters["MAC/s"] =
        benchmark::Counter(static_cast<double>(state.iterations()) * static_cast<double>(m * n * k),
                           benchmark::Counter::kIsRate);
}

void register_packed(const MatmulFloatVariant* variant) {
    std::ifstream file(GEMLET_BENCH_VISION_SHAPES);
    std::string line;
    while (std::getline(file, line)) {
        std::istringstream words(line);
        std::string name;
        size_t m = 0;
        size_t n = 0;
        size_t k = 0;
        if (line.starts_with('#') || !(words >> name >> m >> n >> k)) continue;
        benchmark::RegisterBenchmark((std::string(variant->name) + "/packed/" + name).c_str(),
                                     run_packed, variant, m, name, n, k);
    }
}

void register_all() {
    const IsaSet here = detect_isas();
    for (const MatmulFloatVariant* variant : matmul_float_variants()) {
        if (!here.has(variant->isa) || variant->isa == Isa::scalar) continue;
        register_packed(variant);
        for (const Shape& shape : kShapes) {
            for (const WeightType type : {WeightType::f32, WeightType::f16, WeightType::bf16}) {
                for (const size_t m : {1, 3, 8, 32, 128, 512}) {
                    const std::string name = std::string(variant->name) + "/" +
                                             weight_type_info(type).name + "/" + shape.name + "_m" +
                                             std::to_string(m);
                    benchmark::RegisterBenchmark(name.c_str(), run_one, variant, type, m, shape);
                }
            }
        }
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
