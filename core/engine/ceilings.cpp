// Best of several rounds: other programs can only make a round slower.
#include "core/engine/ceilings.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>

#include "core/engine/engine_parts.h"
#include "core/guard.h"
#include "kernels/probe/probe.h"

namespace gemlet {
namespace {

constexpr size_t kReadBytes = size_t{512} << 20U;
constexpr size_t kReadGrain = size_t{1} << 20U;
constexpr size_t kSteps = size_t{1} << 18U;
constexpr int kRounds = 6;

const ProbeVariant& choose_probe(IsaSet isas) {
    for (const ProbeVariant* variant : probe_variants()) {
        if (isas.has(variant->isa)) return *variant;
    }
    return *probe_variants().back();
}

template <class Body>
double best_seconds(Body&& body) {
    double best = 1e30;
    for (int round = 0; round < kRounds; ++round) {
        const auto start = std::chrono::steady_clock::now();
        body();
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
        best = std::min(best, took.count());
    }
    return best;
}

}  // namespace

Result<Ceilings> Engine::measure_ceilings() {
    return guard([&]() -> Result<Ceilings> {
        ThreadPool& pool = *parts_->pool;
        const ProbeVariant& probe = choose_probe(parts_->isas);
        uint8_t* data = nullptr;
        MemoryPlan plan;
        plan.add("probe", &data, kReadBytes);
        Result<Arena> arena = Arena::allocate(plan);
        GEMLET_TRY(arena);
        const std::lock_guard<TurnLock> lock(parts_->one_step);
        const AffinityScope pinned = pool.pin_caller();
        std::atomic<uint64_t> sink{0};
        const size_t n_grains = kReadBytes / kReadGrain;
        pool.parallel_for(n_grains, 1, [&](size_t begin, size_t end, size_t) noexcept {
            std::memset(data + begin * kReadGrain, 1, (end - begin) * kReadGrain);
        });
        const double read_s = best_seconds([&] {
            pool.parallel_for(n_grains, 1, [&](size_t begin, size_t end, size_t) noexcept {
                sink += probe.read(data + begin * kReadGrain, (end - begin) * kReadGrain);
            });
        });
        std::atomic<uint64_t> multiplied{0};
        const size_t n_workers = pool.n_workers();
        const double multiply_s = best_seconds([&] {
            multiplied = 0;
            pool.parallel_for(n_workers * 8, 1, [&](size_t begin, size_t end, size_t) noexcept {
                multiplied += probe.multiply((end - begin) * kSteps);
            });
        });
        return Ceilings{static_cast<double>(kReadBytes) / read_s,
                        static_cast<double>(multiplied.load()) / multiply_s};
    });
}

}  // namespace gemlet
