// All allowed hardware threads are put in the order in which they are worth having; the workers are
// the first n of them, regrouped by memory node.
#include "core/threads/placement.h"

#include <algorithm>
#include <cmath>

namespace gemlet {
namespace {

struct Candidate {
    Pu pu;
    size_t sibling = 0;  // 0: the first allowed hardware thread of its core
};

std::vector<Candidate> candidates(const Topology& topology, std::span<const int32_t> affinity) {
    std::vector<Candidate> list;
    for (const Pu& pu : topology.pus) {
        const bool allowed = affinity.empty() || std::find(affinity.begin(), affinity.end(),
                                                           pu.os_index) != affinity.end();
        if (!allowed) continue;
        const bool same_core = !list.empty() && list.back().pu.core == pu.core;
        list.push_back({pu, same_core ? list.back().sibling + 1 : 0});
    }
    // Siblings last, fast before slow, and within that the machine's order: it keeps nodes
    // together.
    std::stable_sort(list.begin(), list.end(), [](const Candidate& a, const Candidate& b) {
        if (a.sibling != b.sibling) return a.sibling < b.sibling;
        return a.pu.kind < b.pu.kind;
    });
    return list;
}

// One per physical core, of the fast ones if there are any.
size_t automatic_count(const std::vector<Candidate>& list) {
    const auto is_core = [](const Candidate& c) { return c.sibling == 0; };
    const auto is_fast_core = [](const Candidate& c) {
        return c.sibling == 0 && c.pu.kind == CoreKind::fast;
    };
    const auto n_fast = std::count_if(list.begin(), list.end(), is_fast_core);
    const auto n_cores = std::count_if(list.begin(), list.end(), is_core);
    return static_cast<size_t>(n_fast > 0 ? n_fast : n_cores);
}

// Numbers the nodes in use from 0 and puts the workers of one node together.
size_t group_by_node(std::vector<WorkerPlace>& workers) {
    std::stable_sort(workers.begin(), workers.end(),
                     [](const WorkerPlace& a, const WorkerPlace& b) { return a.node < b.node; });
    int32_t n_nodes = 0;
    int32_t last = -1;
    for (WorkerPlace& worker : workers) {
        if (worker.node != last) ++n_nodes;
        last = worker.node;
        worker.node = n_nodes - 1;
    }
    return static_cast<size_t>(n_nodes);
}

}  // namespace

Placement place_workers(const Topology& topology, const PlacementRequest& request) {
    std::vector<Candidate> list = candidates(topology, request.affinity);
    // An affinity mask that names no CPU the topology knows: trust neither, run one worker.
    const size_t n_auto = std::max<size_t>(automatic_count(list), 1);
    const double quota = request.quota_cpus.value_or(static_cast<double>(list.size()));
    const double quota_ceil = std::clamp(std::ceil(quota), 1.0, 1e6);
    const auto n_quota = static_cast<size_t>(quota_ceil);
    const bool quota_binds = request.quota_cpus && n_quota < n_auto;

    Placement placement;
    const size_t n_workers = request.n_threads != 0 ? request.n_threads : std::min(n_auto, n_quota);
    placement.oversubscribed =
        n_workers > std::max<size_t>(list.size(), 1) || (quota_binds && n_workers > n_quota);
    const bool pinned = !placement.oversubscribed && !quota_binds && !list.empty();
    placement.workers.resize(n_workers);
    if (!pinned) return placement;
    for (size_t i = 0; i < n_workers; ++i) {
        const Pu& pu = list[i].pu;
        placement.workers[i] = {pu.os_index, pu.node, pu.kind};
    }
    placement.n_nodes = group_by_node(placement.workers);
    return placement;
}

}  // namespace gemlet
