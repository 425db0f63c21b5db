// The rules of placement, on machines of many shapes.
#include "core/threads/placement.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace gemlet {
namespace {

constexpr CoreKind kFast = CoreKind::fast;
constexpr CoreKind kSlow = CoreKind::slow;

// `n_nodes` nodes of `cores_per_node` fast cores with `n_smt` hardware threads each; siblings are
// numbered as Linux does on most machines, the second ones after all first ones.
Topology machine(int32_t n_nodes, int32_t cores_per_node, int32_t n_smt) {
    Topology topology;
    const int32_t n_cores = n_nodes * cores_per_node;
    topology.n_nodes = static_cast<size_t>(n_nodes);
    topology.n_cores = static_cast<size_t>(n_cores);
    for (int32_t core = 0; core < n_cores; ++core) {
        for (int32_t sibling = 0; sibling < n_smt; ++sibling) {
            topology.pus.push_back({sibling * n_cores + core, core, core / cores_per_node, kFast});
        }
    }
    return topology;
}

// Two fast cores of two hardware threads (0-3), then four slow ones (4-7).
Topology hybrid() {
    Topology topology;
    topology.n_cores = 6;
    topology.n_nodes = 1;
    topology.pus = {{0, 0, 0, kFast}, {1, 0, 0, kFast}, {2, 1, 0, kFast}, {3, 1, 0, kFast},
                    {4, 2, 0, kSlow}, {5, 3, 0, kSlow}, {6, 4, 0, kSlow}, {7, 5, 0, kSlow}};
    return topology;
}

std::vector<int32_t> pus_of(const Placement& placement) {
    std::vector<int32_t> pus;
    for (const WorkerPlace& place : placement.workers) pus.push_back(place.pu);
    return pus;
}

std::vector<int32_t> nodes_of(const Placement& placement) {
    std::vector<int32_t> nodes;
    for (const WorkerPlace& place : placement.workers) nodes.push_back(place.node);
    return nodes;
}

using Ints = std::vector<int32_t>;

TEST(Placement, takes_one_worker_per_physical_core) {
    const Placement placement = place_workers(machine(1, 4, 2), {});
    EXPECT_EQ(pus_of(placement), (Ints{0, 1, 2, 3}));
    EXPECT_EQ(placement.n_nodes, 1U);
    EXPECT_FALSE(placement.oversubscribed);
}

TEST(Placement, keeps_workers_of_a_node_together) {
    const Placement placement = place_workers(machine(2, 2, 2), {});
    EXPECT_EQ(pus_of(placement), (Ints{0, 1, 2, 3}));
    EXPECT_EQ(nodes_of(placement), (Ints{0, 0, 1, 1}));
    EXPECT_EQ(placement.n_nodes, 2U);

    // Siblings come last, but are grouped with their node.
    const Placement more = place_workers(machine(2, 2, 2), {.n_threads = 6});
    EXPECT_EQ(pus_of(more), (Ints{0, 1, 4, 5, 2, 3}));
    EXPECT_EQ(nodes_of(more), (Ints{0, 0, 0, 0, 1, 1}));
}

TEST(Placement, fills_one_node_before_the_next) {
    const Placement placement = place_workers(machine(2, 4, 1), {.n_threads = 3});
    EXPECT_EQ(nodes_of(placement), (Ints{0, 0, 0}));
    EXPECT_EQ(placement.n_nodes, 1U);
}

TEST(Placement, numbers_only_the_nodes_in_use) {
    const Ints second_node = {4, 5, 6, 7};
    const Placement placement = place_workers(machine(2, 4, 1), {.affinity = second_node});
    EXPECT_EQ(pus_of(placement), second_node);
    EXPECT_EQ(nodes_of(placement), (Ints{0, 0, 0, 0}));
    EXPECT_EQ(placement.n_nodes, 1U);
}

TEST(Placement, takes_only_fast_cores_of_a_hybrid) {
    const Placement placement = place_workers(hybrid(), {});
    EXPECT_EQ(pus_of(placement), (Ints{0, 2}));
}

TEST(Placement, takes_slow_cores_then_siblings_when_asked_for_more) {
    const Placement four = place_workers(hybrid(), {.n_threads = 4});
    EXPECT_EQ(pus_of(four), (Ints{0, 2, 4, 5}));
    EXPECT_EQ(four.workers[1].kind, kFast);
    EXPECT_EQ(four.workers[2].kind, kSlow);
    const Placement all = place_workers(hybrid(), {.n_threads = 8});
    EXPECT_EQ(pus_of(all), (Ints{0, 2, 4, 5, 6, 7, 1, 3}));
    EXPECT_FALSE(all.oversubscribed);
}

TEST(Placement, uses_slow_cores_when_only_those_are_allowed) {
    const Ints slow_ones = {5, 6};
    EXPECT_EQ(pus_of(place_workers(hybrid(), {.affinity = slow_ones})), slow_ones);
}

TEST(Placement, stays_within_the_affinity_mask) {
    // Only the second siblings of cores 1 and 2 are allowed: they are those cores' first choice.
    const Ints siblings = {5, 6};
    const Placement placement = place_workers(machine(1, 4, 2), {.affinity = siblings});
    EXPECT_EQ(pus_of(placement), siblings);
    // Both siblings of one core: one worker.
    const Ints one_core = {1, 5};
    EXPECT_EQ(pus_of(place_workers(machine(1, 4, 2), {.affinity = one_core})), (Ints{1}));
}

TEST(Placement, stays_within_the_quota_rounded_up_and_unpinned) {
    const std::vector<std::pair<double, size_t>> cases = {
        {0.2, 1}, {1.0, 1}, {1.01, 2}, {2.5, 3}, {3.0, 3}};
    for (const auto& [quota, n_workers] : cases) {
        const Placement placement = place_workers(machine(1, 4, 1), {.quota_cpus = quota});
        EXPECT_EQ(pus_of(placement), Ints(n_workers, -1)) << quota;
        EXPECT_FALSE(placement.oversubscribed);
    }
}

TEST(Placement, ignores_a_quota_beyond_the_machine) {
    for (const double quota : {4.0, 3.5, 64.0, 1e300}) {
        const Placement placement = place_workers(machine(1, 4, 2), {.quota_cpus = quota});
        EXPECT_EQ(pus_of(placement), (Ints{0, 1, 2, 3})) << quota;
    }
}

TEST(Placement, gives_up_pinning_when_there_are_more_workers_than_cpus) {
    const Placement placement = place_workers(machine(1, 2, 1), {.n_threads = 3});
    EXPECT_EQ(pus_of(placement), (Ints{-1, -1, -1}));
    EXPECT_TRUE(placement.oversubscribed);
    EXPECT_EQ(placement.n_nodes, 1U);
}

TEST(Placement, obeys_a_number_beyond_the_quota_but_waits_politely) {
    const Placement placement =
        place_workers(machine(1, 8, 1), {.n_threads = 4, .quota_cpus = 2.0});
    EXPECT_EQ(placement.workers.size(), 4U);
    EXPECT_TRUE(placement.oversubscribed);
}

TEST(Placement, runs_one_worker_when_nothing_is_known) {
    EXPECT_EQ(pus_of(place_workers({}, {})), (Ints{-1}));
    const Ints elsewhere = {100};
    EXPECT_EQ(pus_of(place_workers(machine(1, 2, 1), {.affinity = elsewhere})), (Ints{-1}));
}

// Invariants over many machines and requests.
TEST(Placement, never_uses_a_cpu_twice_nor_one_not_allowed) {
    for (const int32_t n_nodes : {1, 2, 4}) {
        for (const int32_t n_smt : {1, 2, 4}) {
            const Topology topology = machine(n_nodes, 3, n_smt);
            Ints allowed;
            for (const Pu& pu : topology.pus) {
                if (pu.os_index % 3 != 1) allowed.push_back(pu.os_index);
            }
            for (size_t n_threads = 1; n_threads <= allowed.size(); ++n_threads) {
                const Placement placement =
                    place_workers(topology, {.n_threads = n_threads, .affinity = allowed});
                Ints used = pus_of(placement);
                std::sort(used.begin(), used.end());
                EXPECT_EQ(used.size(), n_threads);
                EXPECT_EQ(std::adjacent_find(used.begin(), used.end()), used.end());
                for (const int32_t pu : used) EXPECT_NE(pu % 3, 1);
                const Ints nodes = nodes_of(placement);
                EXPECT_TRUE(std::is_sorted(nodes.begin(), nodes.end()));
                EXPECT_EQ(static_cast<size_t>(nodes.back()) + 1, placement.n_nodes);
            }
        }
    }
}

}  // namespace
}  // namespace gemlet
