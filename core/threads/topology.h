// What the machine looks like to the thread pool: hardware threads, the physical cores and memory
// nodes they belong to, and whether a core is a fast or a slow one of a hybrid CPU. A plain table,
// so that placement (placement.h) can be tested with machines nobody here owns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/status.h"

namespace gemlet {

/// Hybrid CPUs mix two kinds of cores; every core of any other CPU is fast.
enum class CoreKind : uint8_t { fast, slow };

/// One hardware thread ("processing unit").
struct Pu {
    int32_t os_index = 0;  // as affinity masks count
    int32_t core = 0;      // physical core, dense from 0; SMT siblings share it
    int32_t node = 0;      // NUMA node, dense from 0
    CoreKind kind = CoreKind::fast;

    bool operator==(const Pu&) const = default;
};

/// All hardware threads that are online, sorted by core, then os_index.
struct Topology {
    std::vector<Pu> pus;
    size_t n_cores = 0;
    size_t n_nodes = 0;
};

/// Reads this machine's topology: from hwloc when built with it, else from sysfs, else (neither
/// readable) one core per CPU of the caller's affinity mask. Never empty.
Topology read_topology();

/// Reads the topology from a sysfs tree; `devices` is "/sys/devices" or a test's imitation of it.
/// Errors: `not_found` when it lists no CPUs, `corrupt` when the list is not one.
Result<Topology> read_sysfs_topology(const std::string& devices);

/// Builds the topology that hwloc makes of a synthetic description such as "node:2 core:4 pu:2";
/// the hardware threads listed in `slow_pus` (OS indices) become slow cores.
/// Errors: `bad_argument` for a description hwloc refuses, `unsupported` when built without hwloc.
Result<Topology> synthetic_topology(const std::string& description,
                                    std::span<const int32_t> slow_pus = {});

/// Parses a kernel CPU list such as "0-3,8,10-11". Errors: `corrupt`.
Result<std::vector<int32_t>> parse_cpu_list(std::string_view text);

}  // namespace gemlet
