// Stands in for topology_hwloc.cpp in builds without hwloc; sysfs is read instead.
#include "core/threads/topology_detail.h"

namespace gemlet {

Result<Topology> read_hwloc_topology() {
    return Status(StatusCode::unsupported, "built without hwloc");
}

Result<Topology> synthetic_topology(const std::string& description, std::span<const int32_t>) {
    return Status(StatusCode::unsupported, "built without hwloc", description);
}

}  // namespace gemlet
