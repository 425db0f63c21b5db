// Topologies from hwloc's synthetic machines, from imitated sysfs trees, and of this machine.
#include "core/threads/topology.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "core/threads/affinity.h"
#include "core/threads/placement.h"
#include "tests/core/temp_tree.h"

namespace gemlet {
namespace {

using Ints = std::vector<int32_t>;

// Sorted, dense numbers, every hardware thread once.
void expect_sound(const Topology& topology) {
    ASSERT_FALSE(topology.pus.empty());
    std::set<int32_t> pus;
    std::set<int32_t> cores;
    std::set<int32_t> nodes;
    int32_t last_core = 0;
    for (const Pu& pu : topology.pus) {
        EXPECT_TRUE(pus.insert(pu.os_index).second);
        EXPECT_GE(pu.core, last_core);
        last_core = pu.core;
        cores.insert(pu.core);
        nodes.insert(pu.node);
    }
    EXPECT_EQ(cores.size(), topology.n_cores);
    EXPECT_EQ(nodes.size(), topology.n_nodes);
    EXPECT_EQ(*cores.begin(), 0);
    EXPECT_EQ(static_cast<size_t>(*cores.rbegin()) + 1, topology.n_cores);
    EXPECT_EQ(*nodes.begin(), 0);
    EXPECT_EQ(static_cast<size_t>(*nodes.rbegin()) + 1, topology.n_nodes);
}

TEST(Topology, of_this_machine_covers_the_affinity_mask) {
    const Topology topology = read_topology();
    expect_sound(topology);
    for (const int32_t allowed : current_affinity()) {
        EXPECT_TRUE(std::any_of(topology.pus.begin(), topology.pus.end(), [&](const Pu& pu) {
            return pu.os_index == allowed;
        })) << allowed;
    }
}

TEST(Topology, of_this_machine_is_the_same_from_sysfs) {
    const Result<Topology> sysfs = read_sysfs_topology("/sys/devices");
    if (!sysfs) GTEST_SKIP() << sysfs.error().message();
    expect_sound(*sysfs);
    const Topology topology = read_topology();
    // hwloc leaves out what a cpuset forbids.
    EXPECT_GE(sysfs->pus.size(), topology.pus.size());
    EXPECT_GE(sysfs->n_cores, topology.n_cores);
}

class SyntheticTopology : public testing::Test {
  protected:
    void SetUp() override {
        const Result<Topology> probe = synthetic_topology("core:1 pu:1");
        if (!probe && probe.error().code() == StatusCode::unsupported) {
            GTEST_SKIP() << "built without hwloc";
        }
    }
};

TEST_F(SyntheticTopology, has_two_nodes) {
    const Result<Topology> topology = synthetic_topology("node:2 core:4 pu:2");
    ASSERT_TRUE(topology) << topology.error().message();
    expect_sound(*topology);
    EXPECT_EQ(topology->pus.size(), 16U);
    EXPECT_EQ(topology->n_cores, 8U);
    EXPECT_EQ(topology->n_nodes, 2U);
    const Placement placement = place_workers(*topology, {});
    ASSERT_EQ(placement.workers.size(), 8U);
    EXPECT_EQ(placement.n_nodes, 2U);
    for (size_t i = 0; i < 8; ++i) {
        EXPECT_EQ(placement.workers[i].pu, static_cast<int32_t>(2 * i));  // siblings are 2i, 2i + 1
        EXPECT_EQ(placement.workers[i].node, static_cast<int32_t>(i / 4));
    }
}

TEST_F(SyntheticTopology, has_fast_and_slow_cores) {
    const Ints slow = {4, 5, 6, 7};
    const Result<Topology> topology = synthetic_topology("node:1 core:8 pu:1", slow);
    ASSERT_TRUE(topology) << topology.error().message();
    expect_sound(*topology);
    for (const Pu& pu : topology->pus) {
        EXPECT_EQ(pu.kind, pu.os_index < 4 ? CoreKind::fast : CoreKind::slow);
    }
    EXPECT_EQ(place_workers(*topology, {}).workers.size(), 4U);
    const Ints mixed = {2, 3, 4, 5};
    EXPECT_EQ(place_workers(*topology, {.affinity = mixed}).workers.size(), 2U);
}

TEST_F(SyntheticTopology, respects_affinity_across_nodes) {
    const Result<Topology> topology = synthetic_topology("node:2 core:2 pu:2");
    ASSERT_TRUE(topology);
    const Ints allowed = {2, 3, 4};
    const Placement placement = place_workers(*topology, {.affinity = allowed});
    ASSERT_EQ(placement.workers.size(), 2U);
    EXPECT_EQ(placement.workers[0], (WorkerPlace{2, 0, CoreKind::fast}));
    EXPECT_EQ(placement.workers[1], (WorkerPlace{4, 1, CoreKind::fast}));
}

TEST_F(SyntheticTopology, refuses_nonsense) {
    for (const char* text : {"", "core:0", "elephants:3", "pu:-1"}) {
        const Result<Topology> topology = synthetic_topology(text);
        ASSERT_FALSE(topology) << text;
        EXPECT_EQ(topology.error().code(), StatusCode::bad_argument);
    }
}

void write_cpu(const TempTree& tree, int cpu, const std::string& siblings,
               const std::string& capacity = {}) {
    const std::string folder = "system/cpu/cpu" + std::to_string(cpu);
    tree.write(folder + "/topology/thread_siblings_list", siblings + "\n");
    if (!capacity.empty()) tree.write(folder + "/cpu_capacity", capacity + "\n");
}

TEST(SysfsTopology, reads_smt_and_nodes) {
    const TempTree tree;
    tree.write("system/cpu/online", "0-3,5\n");
    for (const int cpu : {0, 2}) write_cpu(tree, cpu, "0,2");
    for (const int cpu : {1, 3}) write_cpu(tree, cpu, "1,3");
    write_cpu(tree, 5, "5");
    tree.write("system/node/online", "0,2\n");
    tree.write("system/node/node0/cpulist", "0,2\n");
    tree.write("system/node/node2/cpulist", "1,3-5\n");
    const Result<Topology> topology = read_sysfs_topology(tree.path());
    ASSERT_TRUE(topology) << topology.error().message();
    expect_sound(*topology);
    const std::vector<Pu> expected = {{0, 0, 0, CoreKind::fast},
                                      {2, 0, 0, CoreKind::fast},
                                      {1, 1, 1, CoreKind::fast},
                                      {3, 1, 1, CoreKind::fast},
                                      {5, 2, 1, CoreKind::fast}};
    EXPECT_EQ(topology->pus, expected);
}

// A big.LITTLE board with a faster one among its big cores.
TEST(SysfsTopology, tells_little_arm_cores_by_capacity) {
    const TempTree tree;
    tree.write("system/cpu/online", "0-3\n");
    const std::vector<std::string> capacities = {"530", "530", "860", "1024"};
    for (int cpu = 0; cpu < 4; ++cpu) {
        write_cpu(tree, cpu, std::to_string(cpu), capacities[static_cast<size_t>(cpu)]);
    }
    const Result<Topology> topology = read_sysfs_topology(tree.path());
    ASSERT_TRUE(topology);
    for (const Pu& pu : topology->pus) {
        EXPECT_EQ(pu.kind, pu.os_index < 2 ? CoreKind::slow : CoreKind::fast);
    }
}

TEST(SysfsTopology, tells_intel_atom_cores_by_their_list) {
    const TempTree tree;
    tree.write("system/cpu/online", "0-3\n");
    for (const int cpu : {0, 1}) write_cpu(tree, cpu, "0-1");
    for (const int cpu : {2, 3}) write_cpu(tree, cpu, std::to_string(cpu));
    tree.write("cpu_core/cpus", "0-1\n");
    tree.write("cpu_atom/cpus", "2-3\n");
    const Result<Topology> topology = read_sysfs_topology(tree.path());
    ASSERT_TRUE(topology);
    EXPECT_EQ(topology->n_cores, 3U);
    EXPECT_EQ(place_workers(*topology, {}).workers.size(), 1U);
    // A CPU of Atom cores alone has no slow ones.
    tree.write("cpu_atom/cpus", "0-3\n");
    const Result<Topology> atoms = read_sysfs_topology(tree.path());
    ASSERT_TRUE(atoms);
    for (const Pu& pu : atoms->pus) EXPECT_EQ(pu.kind, CoreKind::fast);
}

TEST(SysfsTopology, needs_no_more_than_the_list_of_cpus) {
    const TempTree tree;
    tree.write("system/cpu/online", "0-1\n");
    const Result<Topology> topology = read_sysfs_topology(tree.path());
    ASSERT_TRUE(topology);
    expect_sound(*topology);
    EXPECT_EQ(topology->n_cores, 2U);
    EXPECT_EQ(topology->n_nodes, 1U);
}

TEST(SysfsTopology, reports_what_is_missing_or_broken) {
    const TempTree tree;
    EXPECT_EQ(read_sysfs_topology(tree.path()).error().code(), StatusCode::not_found);
    tree.write("system/cpu/online", "\n");
    EXPECT_EQ(read_sysfs_topology(tree.path()).error().code(), StatusCode::not_found);
    tree.write("system/cpu/online", "0-x\n");
    EXPECT_EQ(read_sysfs_topology(tree.path()).error().code(), StatusCode::corrupt);
}

TEST(CpuList, parses_numbers_and_ranges) {
    const Result<Ints> list = parse_cpu_list("8,0-3,2,10-11");
    ASSERT_TRUE(list);
    EXPECT_EQ(*list, (Ints{0, 1, 2, 3, 8, 10, 11}));
    const Result<Ints> empty = parse_cpu_list("");
    ASSERT_TRUE(empty);
    EXPECT_TRUE(empty->empty());
}

TEST(CpuList, refuses_what_is_no_list) {
    for (const char* text : {",", "1,", ",1", "a", "1-", "-1", "3-1", "0-99999999", "1 2",
                             "99999999999", "0--3", "1-2-3"}) {
        const Result<Ints> list = parse_cpu_list(text);
        EXPECT_FALSE(list) << text;
    }
}

}  // namespace
}  // namespace gemlet
