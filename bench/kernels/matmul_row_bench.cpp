// Speed of matmul_row's variants on real layer shapes: multiply-adds per second, weight bytes per
// second, and their shares of what a core of this machine can do (kernels/probe/probe.h).
// Weights come from a set larger than the caches, one matrix after the other. Rates are those of
// the fastest run, which a busy machine disturbs least; the library's own columns hold the average.
// Every variant is compared with scalar before it is timed.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "kernels/matmul_row/matmul_row.h"
#include "kernels/probe/probe.h"

namespace gemlet {
namespace {

constexpr size_t kStreamedBytes = size_t{96} << 20U;

struct Shape {
    std::string name;
    size_t n = 0;
    size_t k = 0;
    WeightType type = WeightType::i4r;
};

std::vector<Shape> read_shapes(const char* path) {
    std::vector<Shape> shapes;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        if (line.empty() || line[0] == '#') continue;
        Shape shape;
        std::string type;
        std::istringstream(line) >> shape.name >> shape.n >> shape.k >> type;
        if (type == "i2r") shape.type = WeightType::i2r;
        if (type == "i8r") shape.type = WeightType::i8r;
        shapes.push_back(shape);
    }
    return shapes;
}

/// A buffer whose first element lies on a cache line.
template <class T>
class Aligned {
  public:
    explicit Aligned(size_t n) : all_(n + 64 / sizeof(T)) {}
    T* data() {
        const auto at = reinterpret_cast<uintptr_t>(all_.data());
        return all_.data() + (64 - at % 64) % 64 / sizeof(T);
    }

  private:
    std::vector<T> all_;
};

struct Problem {
    Shape shape;
    size_t m;
    float input_scale;
    size_t n_limbs;
    size_t stride;
    std::vector<uint8_t> weights;
    std::vector<float> weight_scale;
    std::vector<float> x;
    Aligned<int8_t> codes;
    std::vector<int32_t> sums;
    std::vector<float> scale;
    std::vector<float> out;

    Problem(const Shape& s, size_t rows, size_t n_weights, float scale_of_inputs)
        : shape(s),
          m(rows),
          input_scale(scale_of_inputs),
          n_limbs(scale_of_inputs > 0.0F ? 1 : kFixedPointLimbs),
          stride((s.k + row_streams(s.type) - 1) / row_streams(s.type)),
          weights(n_weights * stride),
          weight_scale(n_weights, 0.01F),
          x(rows * s.k),
          codes(rows * n_limbs * row_streams(s.type) * row_stream_bytes(s.type, s.k)),
          sums(rows * n_limbs),
          scale(rows),
          out(rows * s.n) {
        std::mt19937 engine(1);
        for (uint8_t& b : weights) b = static_cast<uint8_t>(engine() >> 24U);
        for (float& v : x) v = static_cast<float>(engine() % 2001) * 0.001F - 1.0F;
    }
    RowActivations activations() {
        return {codes.data(), sums.data(), scale.data(), n_limbs,
                row_stream_bytes(shape.type, shape.k)};
    }
    void pack(const MatmulRowVariant& variant) {
        variant.pack({x.data(), shape.k, m, shape.k, shape.type, input_scale, activations()});
    }
    /// Multiplies with the shape.n weight rows that start at row `first`.
    void run(const MatmulRowVariant& variant, size_t first) {
        variant.run({weights.data() + first * stride, stride, shape.type,
                     reinterpret_cast<const uint8_t*>(weight_scale.data() + first), activations(),
                     n_limbs == 1 ? 0.05F : 0.0F, out.data(), shape.n, m, 0, shape.n, shape.k});
    }
};

double seconds_now() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration<double>(now).count();
}

struct Ceilings {
    double bytes_per_second = 0.0;
    double ops_per_second = 0.0;
};

template <class Work>
double best_rate(double amount, const Work& work) {
    double best = 0.0;
    for (int i = 0; i < 200; ++i) {
        const double start = seconds_now();
        benchmark::DoNotOptimize(work());
        best = std::max(best, amount / (seconds_now() - start));
    }
    return best;
}

/// The probe of the variant's instruction set, or the best one below it.
const ProbeVariant& probe_of(Isa isa) {
    for (const ProbeVariant* probe : probe_variants()) {
        if (probe->isa <= isa) return *probe;
    }
    return *probe_variants().back();
}

Ceilings measure_ceilings(Isa isa) {
    constexpr size_t kSteps = 100000;
    constexpr size_t kReadBytes = size_t{2} << 20U;
    constexpr size_t kAlign = 64;
    const ProbeVariant& probe = probe_of(isa);
    std::vector<uint8_t> memory(kStreamedBytes + kAlign, 1);
    const size_t skew = reinterpret_cast<uintptr_t>(memory.data()) % kAlign;
    const uint8_t* bytes = memory.data() + (kAlign - skew) % kAlign;
    Ceilings out;
    size_t at = 0;
    out.bytes_per_second = best_rate(static_cast<double>(kReadBytes), [&] {
        at = (at + kReadBytes) % kStreamedBytes;
        return probe.read(bytes + at, kReadBytes);
    });
    const auto multiplied = static_cast<double>(probe.multiply(kSteps));
    out.ops_per_second = best_rate(multiplied, [&] { return probe.multiply(kSteps); });
    return out;
}

bool same_as_scalar(Problem& problem, const MatmulRowVariant& variant) {
    const size_t n = std::min<size_t>(problem.shape.n, 64);
    Shape small = problem.shape;
    small.n = n;
    Problem a(small, problem.m, n, problem.input_scale);
    Problem b(small, problem.m, n, problem.input_scale);
    a.pack(*matmul_row_variants().back());
    a.run(*matmul_row_variants().back(), 0);
    b.pack(variant);
    b.run(variant, 0);
    return memcmp(a.out.data(), b.out.data(), a.out.size() * sizeof(float)) == 0;
}

void bench_run(benchmark::State& state, const MatmulRowVariant& variant, const Shape& shape,
               size_t m, bool fixed, const Ceilings& ceilings) {
    const size_t matrix_bytes = shape.n * shape.k / row_streams(shape.type);
    const size_t copies = m > 8 ? 1 : std::max<size_t>(1, kStreamedBytes / matrix_bytes);
    Problem problem(shape, m, shape.n * copies, fixed ? 0.0F : 0.008F);
    if (!same_as_scalar(problem, variant)) {
        state.SkipWithError("differs from scalar");
        return;
    }
    problem.pack(variant);
    size_t copy = 0;
    double seconds = 1e9;
    for (auto _ : state) {
        const double start = seconds_now();
        problem.run(variant, copy * shape.n);
        seconds = std::min(seconds, seconds_now() - start);
        copy = (copy + 1) % copies;
    }
    const double bytes = static_cast<double>(matrix_bytes) / seconds;
    const double ops = static_cast<double>(shape.n * shape.k * m * problem.n_limbs) / seconds;
    state.counters["GB/s"] = bytes * 1e-9;
    state.counters["GOP/s"] = ops * 1e-9;
    if (ceilings.ops_per_second > 0.0) {
        state.counters["of_read"] = bytes / ceilings.bytes_per_second;
        state.counters["of_dot"] = ops / ceilings.ops_per_second;
    }
}

void bench_pack(benchmark::State& state, const MatmulRowVariant& variant, const Shape& shape) {
    Problem problem(shape, 1, 1, 0.008F);
    for (auto _ : state) problem.pack(variant);
}

void register_all(const std::vector<Shape>& shapes) {
    const IsaSet here = detect_isas();
    for (const MatmulRowVariant* variant : matmul_row_variants()) {
        if (!here.has(variant->isa)) continue;
        const Ceilings ceilings = measure_ceilings(variant->isa);
        printf("%s: one core reads %.1f GB/s, multiplies %.0f GOP/s\n", variant->name,
               ceilings.bytes_per_second * 1e-9, ceilings.ops_per_second * 1e-9);
        for (const Shape& shape : shapes) {
            const std::string prefix = std::string("matmul_") + weight_type_info(shape.type).name +
                                       "_i8/" + variant->name + "/" + shape.name;
            benchmark::RegisterBenchmark((prefix + "/pack").c_str(), bench_pack, *variant, shape);
            if (shape.n > 100000) {
                for (const size_t m : {1, 2, 4, 8}) {
                    const std::string name = prefix + "/m" + std::to_string(m) + "_fixed";
                    benchmark::RegisterBenchmark(name.c_str(), bench_run, *variant, shape, m, true,
                                                 ceilings);
                }
                continue;
            }
            for (const size_t m : {1, 2, 3, 4, 8, 12, 16, 32, 512}) {
                benchmark::RegisterBenchmark((prefix + "/m" + std::to_string(m)).c_str(), bench_run,
                                             *variant, shape, m, false, ceilings);
            }
        }
    }
}

}  // namespace
}  // namespace gemlet

int main(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    const char* path = argc > 1 ? argv[1] : GEMLET_BENCH_SHAPES;
    gemlet::register_all(gemlet::read_shapes(path));
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
