// The share of the machine that a container's CPU quota leaves us. A quota limits CPU time, not
// CPUs: threads beyond it only get the whole group throttled.
#pragma once

#include <optional>
#include <string>

namespace gemlet {

/// Where to look; tests pass folders of their own.
struct CgroupPaths {
    std::string membership = "/proc/self/cgroup";  // which groups this process is in
    std::string mount = "/sys/fs/cgroup";          // where the group trees are mounted
};

/// Returns the tightest CPU quota on the way from this process's group to the root, in CPUs (1.5
/// is one and a half), or nothing when there is none. Understands cgroup v2 (cpu.max), v1
/// (cpu.cfs_quota_us) and both mounted side by side; what is unreadable or malformed sets no limit.
std::optional<double> read_cpu_quota(const CgroupPaths& paths = {});

}  // namespace gemlet
