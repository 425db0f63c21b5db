// What the topology's readers share: the facts as the system tells them, before they are numbered
// and judged. Private to core/threads.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/threads/topology.h"

namespace gemlet {

struct RawPu {
    int32_t os_index = 0;
    int32_t core_id = 0;              // any number that SMT siblings share
    int32_t node_id = 0;              // any number that CPUs of one node share
    std::optional<int32_t> capacity;  // Arm: speed relative to the others
    bool low_power = false;           // Intel: Atom core
};

/// Numbers cores and nodes from 0 and tells fast from slow cores.
Topology make_topology(const std::vector<RawPu>& raw);

/// Reads this machine through hwloc. Errors: `unsupported` when built without it, `io`.
Result<Topology> read_hwloc_topology();

}  // namespace gemlet
