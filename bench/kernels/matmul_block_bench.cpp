// Speed of the block matmul's variants on real layer shapes: prefill as multiply-adds per second,
// decode (few rows) as weight bytes per second from a set of weights larger than any cache.
//
// Shapes: lines "name n k ..." of the file GEMLET_BENCH_SHAPES. Every variant is compared with
// scalar before it is timed.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "kernels/matmul_block/matmul_block.h"

namespace gemlet {
namespace {

constexpr size_t kStreamedBytes = size_t{96} << 20U;
constexpr WeightType kTypes[] = {
    WeightType::q4_0, WeightType::q8_0, WeightType::q4_k,   WeightType::q6_k,   WeightType::q5_k,
    WeightType::q4_1, WeightType::q5_0, WeightType::q5_1,   WeightType::iq4_nl, WeightType::iq4_xs,
    WeightType::q2_k, WeightType::q3_k, WeightType::iq2_xs, WeightType::iq3_s,
};

struct Shape {
    std::string name;
    size_t n;
    size_t k;
};

struct Problem {
    Problem(WeightType weight_type, size_t n_rows, size_t n_outputs, size_t n_inputs)
        : type(weight_type),
          m(n_rows),
          n(n_outputs),
          k(n_inputs),
          stride(row_bytes(type, k)),
          weights(n * stride),
          codes(m * k),
          scale(m * k / kBlockGroup),
          sums(m * k / kBlockSum),
          out(m * n),
          scratch(matmul_block_scratch_bytes(k) + 64) {
        std::mt19937 engine(1);
        // Bytes up to 0x3f: halves made of them are finite whatever their place in a block.
        for (uint8_t& b : weights) b = static_cast<uint8_t>(engine() >> 26U);
        for (size_t i = 0; i < codes.size(); ++i) {
            codes[i] = static_cast<int8_t>(static_cast<int>(engine() % 255) - 127);
            sums[i / kBlockSum] = static_cast<int16_t>(sums[i / kBlockSum] + codes[i]);
        }
        std::fill(scale.begin(), scale.end(), 0.01F);
    }
    MatmulBlockArgs args(size_t n_begin, size_t n_end) {
        const auto at = reinterpret_cast<uintptr_t>(scratch.data());
        return {weights.data(),
                stride,
                type,
                {codes.data(), scale.data(), sums.data()},
                out.data(),
                n,
                m,
                n_begin,
                n_end,
                k,
                scratch.data() + (64 - at % 64) % 64};
    }
    WeightType type;
    size_t m;
    size_t n;
    size_t k;
    size_t stride;
    std::vector<uint8_t> weights;
    std::vector<int8_t> codes;
    std::vector<float> scale;
    std::vector<int16_t> sums;
    std::vector<float> out;
    std::vector<uint8_t> scratch;
};

bool agrees_with_scalar(const MatmulBlockVariant& variant, WeightType type, size_t m, size_t k) {
    Problem problem(type, std::min<size_t>(m, 5), 33, k);
    variant.run(problem.args(0, 33));
    const std::vector<float> out = problem.out;
    matmul_block_variants().back()->run(problem.args(0, 33));
    return memcmp(out.data(), problem.out.data(), out.size() * sizeof(float)) == 0;
}

void run_one(benchmark::State& state, const MatmulBlockVariant* variant, WeightType type, size_t m,
             Shape shape) {
    if (!agrees_with_scalar(*variant, type, m, shape.k)) {
        state.SkipWithError("differs from scalar");
        return;
    }
    const bool decode = m <= 4;
    const size_t n = decode ? std::max(shape.n, kStreamedBytes / row_bytes(type, shape.k))
                            : std::min<size_t>(shape.n, 12288);  // the head is cut
    const size_t step = decode ? shape.n : std::min<size_t>(n, 256);
    Problem problem(type, m, n, shape.k);
    size_t at = 0;
    for (auto _ : state) {
        if (at + step > n) at = 0;
        variant->run(problem.args(at, at + step));
        at += step;
    }
    const auto steps = static_cast<double>(state.iterations()) * static_cast<double>(step);
    using benchmark::Counter;
    state.counters["MAC/s"] = Counter(steps * static_cast<double>(m * shape.k), Counter::kIsRate);
    state.counters["weight_bytes/s"] =
        Counter(steps * static_cast<double>(problem.stride), Counter::kIsRate);
}

std::vector<Shape> read_shapes(const char* path) {
    std::ifstream file(path);
    std::vector<Shape> shapes;
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        Shape shape;
        if (words >> shape.name >> shape.n >> shape.k && shape.name[0] != '#') {
            shapes.push_back(shape);
        }
    }
    return shapes;
}

void register_all() {
    const IsaSet here = detect_isas();
    for (const Shape& shape : read_shapes(GEMLET_BENCH_SHAPES)) {
        for (const MatmulBlockVariant* variant : matmul_block_variants()) {
            if (!here.has(variant->isa)) continue;
            for (const WeightType type : kTypes) {
                if (shape.k % weight_type_info(type).block_weights != 0) continue;
                for (const size_t m : {1, 4, 8, 32, 128, 512}) {
                    char name[128];
                    std::snprintf(name, sizeof(name), "%s/%s/%s_m%zu_n%zu_k%zu", variant->name,
                                  weight_type_info(type).name, shape.name.c_str(), m, shape.n,
                                  shape.k);
                    benchmark::RegisterBenchmark(name, run_one, variant, type, m, shape);
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
