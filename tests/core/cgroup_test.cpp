// CPU quotas from imitated cgroup trees, sound and broken.
#include "core/threads/cgroup.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "tests/core/temp_tree.h"

namespace gemlet {
namespace {

std::optional<double> quota_in(const TempTree& tree) {
    return read_cpu_quota({tree.path("membership"), tree.path("mount")});
}

TEST(CpuQuota, is_none_without_cgroups) {
    const TempTree tree;
    EXPECT_EQ(quota_in(tree), std::nullopt);
}

TEST(CpuQuota, reads_version_2) {
    const TempTree tree;
    tree.write("membership", "0::/app\n");
    tree.write("mount/app/cpu.max", "150000 100000\n");
    EXPECT_EQ(quota_in(tree), 1.5);
    tree.write("mount/app/cpu.max", "max 100000\n");
    EXPECT_EQ(quota_in(tree), std::nullopt);
}

TEST(CpuQuota, takes_the_tightest_on_the_way_to_the_root) {
    const TempTree tree;
    tree.write("membership", "0::/slice/service/app\n");
    tree.write("mount/slice/service/app/cpu.max", "400000 100000\n");
    tree.write("mount/slice/service/cpu.max", "max 100000\n");
    tree.write("mount/slice/cpu.max", "50000 25000\n");
    EXPECT_EQ(quota_in(tree), 2.0);
}

TEST(CpuQuota, reads_the_root_when_the_path_is_not_visible) {
    const TempTree tree;
    tree.write("membership", "0::/docker/0123456789\n");
    tree.write("mount/cpu.max", "300000 100000\n");
    EXPECT_EQ(quota_in(tree), 3.0);
    tree.write("membership", "0::/../../other\n");
    EXPECT_EQ(quota_in(tree), 3.0);
    tree.write("membership", "0::/\n");
    EXPECT_EQ(quota_in(tree), 3.0);
}

TEST(CpuQuota, never_leaves_the_mount) {
    const TempTree tree;
    tree.write("membership", "0::/a/../../outside\n");
    tree.write("outside/cpu.max", "100000 100000\n");
    tree.write("mount/a/cpu.max", "100000 100000\n");
    EXPECT_EQ(quota_in(tree), std::nullopt);
}

TEST(CpuQuota, reads_version_1) {
    const TempTree tree;
    tree.write("membership", "12:memory:/app\n4:cpu,cpuacct:/app\n1:name=systemd:/app\n");
    tree.write("mount/cpu,cpuacct/app/cpu.cfs_quota_us", "250000\n");
    tree.write("mount/cpu,cpuacct/app/cpu.cfs_period_us", "100000\n");
    EXPECT_EQ(quota_in(tree), 2.5);
    tree.write("mount/cpu,cpuacct/app/cpu.cfs_quota_us", "-1\n");
    EXPECT_EQ(quota_in(tree), std::nullopt);
    tree.write("mount/cpu/cpu.cfs_quota_us", "70000\n");
    tree.write("mount/cpu/cpu.cfs_period_us", "100000\n");
    EXPECT_EQ(quota_in(tree), 0.7);
}

TEST(CpuQuota, ignores_other_controllers) {
    const TempTree tree;
    tree.write("membership", "3:cpuset,cpuacct:/app\n");
    tree.write("mount/cpu/app/cpu.cfs_quota_us", "250000\n");
    tree.write("mount/cpu/app/cpu.cfs_period_us", "100000\n");
    EXPECT_EQ(quota_in(tree), std::nullopt);
}

TEST(CpuQuota, reads_both_versions_side_by_side) {
    const TempTree tree;
    tree.write("membership", "4:cpu:/app\n0::/app\n");
    tree.write("mount/cpu/app/cpu.cfs_quota_us", "400000\n");
    tree.write("mount/cpu/app/cpu.cfs_period_us", "100000\n");
    EXPECT_EQ(quota_in(tree), 4.0);
    tree.write("mount/unified/app/cpu.max", "200000 100000\n");
    EXPECT_EQ(quota_in(tree), 2.0);
}

TEST(CpuQuota, takes_malformed_files_for_no_limit) {
    const TempTree tree;
    tree.write("membership", "0::/app\n");
    for (const char* text :
         {"", " ", "max", "100000", "0 100000", "100000 0", "-5 100000", "1e5 100000",
          "100000 100000 7", "99999999999999999999 1", "max max"}) {
        tree.write("mount/app/cpu.max", text);
        EXPECT_EQ(quota_in(tree), std::nullopt) << text;
    }
    tree.write("mount/app/cpu.max", "200000 100000");
    for (const char* text : {"", "\n\n", ":", "::", "0:", "0:cpu", "garbage\n:::\n", "0::app"}) {
        tree.write("membership", text);
        EXPECT_EQ(quota_in(tree), std::nullopt) << text;
    }
}

TEST(CpuQuota, survives_a_folder_in_place_of_a_file) {
    const TempTree tree;
    tree.write("membership", "0::/app\n");
    tree.write("mount/app/cpu.max/file", "x");
    EXPECT_EQ(quota_in(tree), std::nullopt);
}

TEST(CpuQuota, of_this_machine_is_none_or_positive) {
    EXPECT_GT(read_cpu_quota().value_or(1.0), 0.0);
}

}  // namespace
}  // namespace gemlet
