// Every item exactly once, whatever the sizes, placements and timing; and the cost of a region.
#include "core/threads/thread_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace gemlet {
namespace {

using Clock = std::chrono::steady_clock;

std::unique_ptr<ThreadPool> make_pool(size_t n_threads, uint32_t spin_us = 50) {
    auto pool = ThreadPool::create({n_threads, spin_us});
    EXPECT_TRUE(pool) << pool.error().message();
    return pool ? std::move(*pool) : nullptr;
}

// `workers_of_node` unpinned workers per node: nodes this machine need not have.
std::unique_ptr<ThreadPool> make_pool_on_nodes(const std::vector<size_t>& workers_of_node) {
    Placement placement;
    placement.n_nodes = workers_of_node.size();
    placement.oversubscribed = true;
    for (size_t node = 0; node < workers_of_node.size(); ++node) {
        for (size_t i = 0; i < workers_of_node[node]; ++i) {
            placement.workers.push_back({-1, static_cast<int32_t>(node), CoreKind::fast});
        }
    }
    auto pool = ThreadPool::create({}, placement);
    EXPECT_TRUE(pool) << pool.error().message();
    return pool ? std::move(*pool) : nullptr;
}

// Runs one region and checks what each item saw. Counters are plain integers: an item visited twice
// at once is then also a race that the thread sanitizer reports.
void check_region(ThreadPool& pool, size_t n_items, size_t grain) {
    SCOPED_TRACE("items " + std::to_string(n_items) + ", grain " + std::to_string(grain));
    std::vector<int> visits(n_items, 0);
    std::atomic<size_t> n_bad{0};
    const size_t n_workers = pool.n_workers();
    const size_t max_length = std::max<size_t>(grain, 1);
    pool.parallel_for(n_items, grain, [&](size_t begin, size_t end, size_t worker) noexcept {
        const bool good = begin < end && end <= n_items && end - begin <= max_length &&
                          begin % max_length == 0 && worker < n_workers;
        if (!good) {
            ++n_bad;
            return;
        }
        for (size_t i = begin; i < end; ++i) ++visits[i];
    });
    EXPECT_EQ(n_bad.load(), 0U);
    EXPECT_EQ(std::count(visits.begin(), visits.end(), 1), static_cast<long>(n_items));
}

void check_many_regions(ThreadPool& pool) {
    for (const size_t n_items : {0, 1, 2, 3, 5, 7, 8, 31, 64, 100, 1000, 4099}) {
        for (const size_t grain : {0, 1, 2, 3, 7, 64, 1000, 5000}) {
            check_region(pool, n_items, grain);
        }
    }
    check_region(pool, 100, SIZE_MAX);
}

TEST(ThreadPool, runs_every_item_once) {
    for (const size_t n_threads : {1, 2, 3, 4}) {
        SCOPED_TRACE("threads " + std::to_string(n_threads));
        const auto pool = make_pool(n_threads);
        ASSERT_NE(pool, nullptr);
        EXPECT_EQ(pool->n_workers(), n_threads);
        check_many_regions(*pool);
    }
}

TEST(ThreadPool, runs_every_item_once_on_several_nodes) {
    const std::vector<std::vector<size_t>> machines = {{1, 1}, {2, 2}, {1, 3}, {1, 1, 2}, {18, 1}};
    for (const auto& machine : machines) {
        const auto pool = make_pool_on_nodes(machine);
        ASSERT_NE(pool, nullptr);
        check_many_regions(*pool);
    }
}

TEST(ThreadPool, automatic_count_uses_at_least_one_worker) {
    const auto pool = make_pool(0);
    ASSERT_NE(pool, nullptr);
    EXPECT_GE(pool->n_workers(), 1U);
    EXPECT_LE(pool->n_workers(), std::max<size_t>(current_affinity().size(), 1));
    check_region(*pool, 1000, 3);
}

TEST(ThreadPool, refuses_absurd_counts) {
    const auto pool = ThreadPool::create({ThreadPool::kMaxWorkers + 1});
    ASSERT_FALSE(pool);
    EXPECT_EQ(pool.error().code(), StatusCode::bad_argument);
    const auto empty = ThreadPool::create({}, Placement{});
    ASSERT_FALSE(empty);
    EXPECT_EQ(empty.error().code(), StatusCode::bad_argument);
}

TEST(ThreadPool, one_range_or_one_worker_runs_in_the_caller) {
    for (const size_t n_threads : {1, 3}) {
        const auto pool = make_pool(n_threads);
        ASSERT_NE(pool, nullptr);
        const size_t grain = n_threads == 1 ? 10 : 100;
        const auto caller = std::this_thread::get_id();
        size_t n_here = 0;
        pool->parallel_for(100, grain, [&](size_t begin, size_t end, size_t worker) noexcept {
            if (std::this_thread::get_id() == caller && worker == 0) n_here += end - begin;
        });
        EXPECT_EQ(n_here, 100U);
    }
}

// Every worker comes in when the region lasts long enough, also out of its sleep.
TEST(ThreadPool, wakes_all_workers_for_long_regions) {
    const auto pool = make_pool(4, 0);
    ASSERT_NE(pool, nullptr);
    for (int round = 0; round < 5; ++round) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        std::array<std::atomic<int>, 4> n_runs{};
        std::atomic<int> n_seen{0};
        const Clock::time_point give_up = Clock::now() + std::chrono::seconds(20);
        // Each worker holds its first item until all four have one.
        pool->parallel_for(4, 1, [&](size_t, size_t, size_t worker) noexcept {
            ++n_runs[worker];
            ++n_seen;
            while (n_seen.load() < 4 && Clock::now() < give_up) std::this_thread::yield();
        });
        for (const auto& n : n_runs) EXPECT_EQ(n.load(), 1);
    }
}

TEST(ThreadPool, survives_a_hundred_thousand_small_regions) {
    for (const size_t n_threads : {2, 3}) {
        const auto pool = make_pool(n_threads);
        ASSERT_NE(pool, nullptr);
        constexpr size_t kItems = 8;
        constexpr int kRegions = 100000;
        std::array<int, kItems> visits{};
        for (int region = 0; region < kRegions; ++region) {
            pool->parallel_for(kItems, 1, [&](size_t begin, size_t end, size_t) noexcept {
                for (size_t i = begin; i < end; ++i) ++visits[i];
            });
        }
        for (const int n : visits) EXPECT_EQ(n, kRegions);
    }
}

// Pauses longer and shorter than the spinning, so that regions meet workers in every state.
TEST(ThreadPool, survives_regions_while_workers_fall_asleep) {
    const auto pool = make_pool(3, 10);
    ASSERT_NE(pool, nullptr);
    size_t n_done = 0;
    constexpr int kRegions = 2000;
    std::array<size_t, 16> sums{};
    for (int region = 0; region < kRegions; ++region) {
        const Clock::time_point until = Clock::now() + std::chrono::microseconds(region % 40);
        while (Clock::now() < until) {
        }
        pool->parallel_for(sums.size(), 1, [&](size_t begin, size_t end, size_t) noexcept {
            for (size_t i = begin; i < end; ++i) ++sums[i];
        });
    }
    for (const size_t sum : sums) n_done += sum;
    EXPECT_EQ(n_done, sums.size() * kRegions);
}

// What one region writes the next one reads, whoever runs it.
TEST(ThreadPool, results_are_visible_to_the_next_region) {
    const auto pool = make_pool(3);
    ASSERT_NE(pool, nullptr);
    constexpr size_t kItems = 64;
    constexpr int kRounds = 500;
    std::vector<int> a(kItems, 0);
    std::vector<int> b(kItems, 0);
    for (int round = 0; round < kRounds; ++round) {
        pool->parallel_for(kItems, 4, [&](size_t begin, size_t end, size_t) noexcept {
            for (size_t i = begin; i < end; ++i) b[i] = a[kItems - 1 - i] + 1;
        });
        std::swap(a, b);
    }
    for (const int value : a) EXPECT_EQ(value, kRounds);
}

TEST(ThreadPool, is_made_and_destroyed_many_times) {
    for (int round = 0; round < 100; ++round) {
        const auto pool = make_pool(static_cast<size_t>(1 + round % 4), round % 3 == 0 ? 0 : 50);
        ASSERT_NE(pool, nullptr);
        if (round % 2 == 0) check_region(*pool, 40, 3);
    }
}

TEST(ThreadPool, leaves_the_affinity_of_the_caller_alone) {
    const std::vector<int32_t> before = current_affinity();
    {
        const auto pool = make_pool(0);
        ASSERT_NE(pool, nullptr);
        check_region(*pool, 100, 1);
        EXPECT_EQ(current_affinity(), before);
        {
            const AffinityScope scope = pool->pin_caller();
            if (pool->places().front().pu >= 0) {
                EXPECT_EQ(current_affinity(), std::vector<int32_t>{pool->places().front().pu});
            }
            check_region(*pool, 100, 1);
        }
        EXPECT_EQ(current_affinity(), before);
    }
    EXPECT_EQ(current_affinity(), before);
}

// Median and ninth decile of what `region` returns, in microseconds.
template <class Region>
std::array<double, 2> measure_us(Region&& region) {
    std::vector<double> us(2000);
    for (double& value : us) value = region();
    std::sort(us.begin(), us.end());
    return {us[us.size() / 2], us[us.size() * 9 / 10]};
}

double us_since(Clock::time_point start) {
    return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

void spin_for(std::chrono::nanoseconds time) {
    const Clock::time_point until = Clock::now() + time;
    while (Clock::now() < until) {
    }
}

// Prints what a region costs; fails only far beyond it, since test machines are shared. An empty
// region is mostly over before others come in; with one item of 20 us for each worker it takes as
// long beyond that as it takes them to come in and be missed.
TEST(ThreadPool, a_warm_region_costs_microseconds) {
    const size_t n_cpus = std::max<size_t>(current_affinity().size(), 1);
    const auto pool = make_pool(std::min<size_t>(n_cpus, 4));
    ASSERT_NE(pool, nullptr);
    const AffinityScope scope = pool->pin_caller();
    const auto empty = measure_us([&] {
        const Clock::time_point start = Clock::now();
        pool->parallel_for(16, 1, [](size_t, size_t, size_t) noexcept {});
        return us_since(start);
    });
    constexpr std::chrono::microseconds kItem(20);
    const auto shared = measure_us([&] {
        spin_for(std::chrono::microseconds(5));  // the serial work between two regions
        const Clock::time_point start = Clock::now();
        pool->parallel_for(pool->n_workers(), 1,
                           [&](size_t, size_t, size_t) noexcept { spin_for(kItem); });
        return us_since(start) - static_cast<double>(kItem.count());
    });
    std::printf(
        "%zu workers: empty region %.2f us (p90 %.2f), overhead of a shared one %.2f (%.2f)\n",
        pool->n_workers(), empty[0], empty[1], shared[0], shared[1]);
    EXPECT_LT(empty[0], 200.0);
}

}  // namespace
}  // namespace gemlet
