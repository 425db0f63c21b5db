// Decides how many workers a pool has and where each one runs. A pure function of what was read
// from the machine, so every rule here is tested on machines of all shapes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/threads/topology.h"

namespace gemlet {

/// Where one worker runs.
struct WorkerPlace {
    int32_t pu = -1;   // OS index to pin to; -1: wherever the scheduler puts it
    int32_t node = 0;  // group of workers that share one range of rows, dense from 0
    CoreKind kind = CoreKind::fast;

    bool operator==(const WorkerPlace&) const = default;
};

struct PlacementRequest {
    size_t n_threads = 0;                    // 0: automatic
    std::span<const int32_t> affinity = {};  // OS indices we may use; empty: all
    std::optional<double> quota_cpus = {};   // of the cgroup
};

struct Placement {
    std::vector<WorkerPlace> workers;  // never empty; workers of one node are adjacent
    size_t n_nodes = 1;                // groups in use
    bool oversubscribed = false;       // more workers than CPUs: waiting must give the CPU away
};

/// Chooses the workers.
/// Automatic: one per physical core that has an allowed hardware thread; on hybrid CPUs only the
/// fast cores (all cores if no fast one is allowed); no more than the quota, rounded up.
/// A given number: fast cores first, then slow ones, then the SMT siblings of both.
/// Pinned, except when the quota allows fewer CPUs than there are cores (several containers would
/// all pick the same first cores) or when there are more workers than CPUs or quota.
Placement place_workers(const Topology& topology, const PlacementRequest& request);

}  // namespace gemlet
