// The reader without hwloc, the last resort, and what both readers share. sysfs lists the CPUs that
// are online, for each the CPUs of its core (the lowest one names the core here), the CPUs of each
// memory node, and two hints about hybrid CPUs: Intel's list of Atom cores, Arm's capacities.
#include "core/threads/topology.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>

#include "core/threads/affinity.h"
#include "core/threads/text_file.h"
#include "core/threads/topology_detail.h"

namespace gemlet {
namespace {

std::optional<int32_t> parse_number(std::string_view text) {
    int32_t value = 0;
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc() || rest != end || value < 0) return std::nullopt;
    return value;
}

// The list in a file; empty when there is no such file or it holds no list.
std::vector<int32_t> list_in(const std::string& path) {
    const auto text = read_text_file(path);
    if (!text || text->empty()) return {};
    Result<std::vector<int32_t>> list = parse_cpu_list(*text);
    return list ? std::move(*list) : std::vector<int32_t>();
}

bool contains(const std::vector<int32_t>& list, int32_t value) {
    return std::find(list.begin(), list.end(), value) != list.end();
}

Topology flat_topology() {
    std::vector<RawPu> raw;
    for (const int32_t pu : current_affinity()) raw.push_back({pu, pu, 0, {}, false});
    if (raw.empty()) raw.push_back({});
    return make_topology(raw);
}

}  // namespace

Result<std::vector<int32_t>> parse_cpu_list(std::string_view text) {
    constexpr int32_t kMaxCpus = 1 << 16;
    std::vector<int32_t> list;
    while (!text.empty()) {
        const size_t comma = std::min(text.find(','), text.size());
        const std::string_view item = text.substr(0, comma);
        const size_t dash = item.find('-');
        const auto first = parse_number(item.substr(0, dash));
        const auto last =
            dash == std::string_view::npos ? first : parse_number(item.substr(dash + 1));
        if (!first || !last || *last < *first || *last >= kMaxCpus || comma + 1 == text.size()) {
            return Status(StatusCode::corrupt, "not a list of CPUs", text);
        }
        for (int32_t cpu = *first; cpu <= *last; ++cpu) list.push_back(cpu);
        text.remove_prefix(std::min(comma + 1, text.size()));
    }
    std::sort(list.begin(), list.end());
    list.erase(std::unique(list.begin(), list.end()), list.end());
    return list;
}

Result<Topology> read_sysfs_topology(const std::string& devices) {
    const std::string cpus = devices + "/system/cpu";
    const auto online = read_text_file(cpus + "/online");
    if (!online || online->empty()) {
        return Status(StatusCode::not_found, "lists no CPUs", cpus);
    }
    Result<std::vector<int32_t>> list = parse_cpu_list(*online);
    GEMLET_TRY(list);
    std::map<int32_t, int32_t> node_of;
    for (const int32_t node : list_in(devices + "/system/node/online")) {
        const std::string folder = devices + "/system/node/node" + std::to_string(node);
        for (const int32_t pu : list_in(folder + "/cpulist")) node_of.emplace(pu, node);
    }
    const std::vector<int32_t> atoms = list_in(devices + "/cpu_atom/cpus");
    std::vector<RawPu> raw;
    for (const int32_t pu : *list) {
        const std::string folder = cpus + "/cpu" + std::to_string(pu);
        const std::vector<int32_t> siblings = list_in(folder + "/topology/thread_siblings_list");
        const auto node = node_of.find(pu);
        const auto capacity = read_text_file(folder + "/cpu_capacity");
        raw.push_back({pu, siblings.empty() ? pu : siblings.front(),
                       node == node_of.end() ? 0 : node->second,
                       capacity ? parse_number(*capacity) : std::nullopt, contains(atoms, pu)});
    }
    return make_topology(raw);
}

Topology make_topology(const std::vector<RawPu>& raw) {
    // A core counts as slow below this share of the fastest one's capacity: between a big Arm core
    // and its faster sisters (0.7 and more) and a little one (0.55 and less).
    constexpr double kSlowShare = 0.6;
    int32_t best_capacity = 0;
    bool all_low_power = true;
    for (const RawPu& pu : raw) {
        best_capacity = std::max(best_capacity, pu.capacity.value_or(0));
        all_low_power = all_low_power && pu.low_power;
    }
    std::map<int32_t, int32_t> cores;
    std::map<int32_t, int32_t> nodes;
    for (const RawPu& pu : raw) {
        cores.emplace(pu.core_id, 0);
        nodes.emplace(pu.node_id, 0);
    }
    for (int32_t next = 0; auto& [id, index] : cores) index = next++;
    for (int32_t next = 0; auto& [id, index] : nodes) index = next++;
    Topology topology;
    topology.n_cores = cores.size();
    topology.n_nodes = nodes.size();
    for (const RawPu& pu : raw) {
        const bool weak = pu.capacity && *pu.capacity < kSlowShare * best_capacity;
        const bool slow = weak || (pu.low_power && !all_low_power);
        topology.pus.push_back({pu.os_index, cores[pu.core_id], nodes[pu.node_id],
                                slow ? CoreKind::slow : CoreKind::fast});
    }
    std::sort(topology.pus.begin(), topology.pus.end(), [](const Pu& a, const Pu& b) {
        return a.core != b.core ? a.core < b.core : a.os_index < b.os_index;
    });
    return topology;
}

Topology read_topology() {
    if (Result<Topology> topology = read_hwloc_topology()) return std::move(*topology);
    if (Result<Topology> topology = read_sysfs_topology("/sys/devices")) {
        return std::move(*topology);
    }
    return flat_topology();
}

}  // namespace gemlet
