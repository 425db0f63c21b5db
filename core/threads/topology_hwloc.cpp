// The one file that knows hwloc. Kinds of cores come from its cpukinds attributes CoreType (Intel)
// and LinuxCapacity (Arm); its own ranking is not used, since it also tells cores of one design
// apart that merely differ in their highest frequency.
#include <hwloc.h>

#include <cstdlib>
#include <memory>
#include <type_traits>

#include "core/threads/topology_detail.h"

namespace gemlet {
namespace {

struct Destroy {
    void operator()(hwloc_topology_t topology) const { hwloc_topology_destroy(topology); }
};
using HwlocTopology = std::unique_ptr<std::remove_pointer_t<hwloc_topology_t>, Destroy>;

struct FreeBitmap {
    void operator()(hwloc_bitmap_t bitmap) const { hwloc_bitmap_free(bitmap); }
};
using HwlocBitmap = std::unique_ptr<std::remove_pointer_t<hwloc_bitmap_t>, FreeBitmap>;

HwlocTopology init() {
    hwloc_topology_t topology = nullptr;
    if (hwloc_topology_init(&topology) != 0) return nullptr;
    return HwlocTopology(topology);
}

void add_kind(hwloc_topology_t topology, const hwloc_obj* pu, RawPu& raw) {
    const int kind = hwloc_cpukinds_get_by_cpuset(topology, pu->cpuset, 0);
    unsigned n_infos = 0;
    hwloc_info_s* infos = nullptr;
    if (kind < 0 || hwloc_cpukinds_get_info(topology, static_cast<unsigned>(kind), nullptr, nullptr,
                                            &n_infos, &infos, 0) != 0) {
        return;
    }
    for (unsigned i = 0; i < n_infos; ++i) {
        const std::string_view name = infos[i].name;
        const std::string_view value = infos[i].value;
        if (name == "CoreType") raw.low_power = value == "IntelAtom";
        if (name == "LinuxCapacity") {
            raw.capacity = static_cast<int32_t>(std::strtol(infos[i].value, nullptr, 10));
        }
    }
}

Result<Topology> to_topology(hwloc_topology_t topology) {
    std::vector<RawPu> list;
    hwloc_obj_t pu = nullptr;
    while ((pu = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_PU, pu)) != nullptr) {
        const hwloc_obj* core = hwloc_get_ancestor_obj_by_type(topology, HWLOC_OBJ_CORE, pu);
        const int node = hwloc_bitmap_first(pu->nodeset);
        RawPu raw;
        raw.os_index = static_cast<int32_t>(pu->os_index);
        // Some systems do not tell cores; each hardware thread is then one.
        raw.core_id =
            static_cast<int32_t>(core != nullptr ? core->logical_index : pu->logical_index);
        raw.node_id = node < 0 ? 0 : node;
        add_kind(topology, pu, raw);
        list.push_back(raw);
    }
    if (list.empty()) return Status(StatusCode::io, "hwloc found no CPUs");
    return make_topology(list);
}

}  // namespace

Result<Topology> read_hwloc_topology() {
    const HwlocTopology topology = init();
    if (topology == nullptr || hwloc_topology_load(topology.get()) != 0) {
        return Status(StatusCode::io, "hwloc cannot read this machine");
    }
    return to_topology(topology.get());
}

Result<Topology> synthetic_topology(const std::string& description,
                                    std::span<const int32_t> slow_pus) {
    const HwlocTopology topology = init();
    if (topology == nullptr ||
        hwloc_topology_set_synthetic(topology.get(), description.c_str()) != 0 ||
        hwloc_topology_load(topology.get()) != 0) {
        return Status(StatusCode::bad_argument, "hwloc does not know such a machine", description);
    }
    if (!slow_pus.empty()) {
        const HwlocBitmap slow(hwloc_bitmap_alloc());
        const HwlocBitmap fast(
            hwloc_bitmap_dup(hwloc_topology_get_topology_cpuset(topology.get())));
        for (const int32_t pu : slow_pus) {
            hwloc_bitmap_set(slow.get(), static_cast<unsigned>(pu));
            hwloc_bitmap_clr(fast.get(), static_cast<unsigned>(pu));
        }
        char name[] = "CoreType";  // hwloc's structure wants them writable
        char core[] = "IntelCore";
        char atom[] = "IntelAtom";
        hwloc_info_s fast_info{name, core};
        hwloc_info_s slow_info{name, atom};
        if (hwloc_cpukinds_register(topology.get(), fast.get(), 1, 1, &fast_info, 0) != 0 ||
            hwloc_cpukinds_register(topology.get(), slow.get(), 0, 1, &slow_info, 0) != 0) {
            return Status(StatusCode::bad_argument, "hwloc refuses these kinds of cores",
                          description);
        }
    }
    return to_topology(topology.get());
}

}  // namespace gemlet
