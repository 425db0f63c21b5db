// /proc/self/cgroup has one line "id:controllers:path" per hierarchy. Version 2 has the one with
// id 0 and no controllers and keeps its limit in cpu.max ("max 100000" or "150000 100000");
// version 1 has one naming the controller "cpu" and keeps it in two files (-1: no limit). A limit
// of any group on the way to the root holds. Inside a container the path may be that of the host,
// which is not visible here; the mount's root is then our own group.
#include "core/threads/cgroup.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/threads/text_file.h"

namespace gemlet {
namespace {

using Quota = std::optional<double>;

Quota tighter(Quota a, Quota b) {
    if (!a || !b) return a ? a : b;
    return std::min(*a, *b);
}

// The positive integer that is all of `text`, else nothing.
std::optional<int64_t> parse_positive(std::string_view text) {
    int64_t value = 0;
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc() || rest != end || value <= 0) return std::nullopt;
    return value;
}

Quota ratio(std::string_view quota_us, std::string_view period_us) {
    const auto quota = parse_positive(quota_us);
    const auto period = parse_positive(period_us);
    if (!quota || !period) return std::nullopt;
    return static_cast<double>(*quota) / static_cast<double>(*period);
}

Quota quota_of_group_v2(const std::string& folder) {
    const auto text = read_text_file(folder + "/cpu.max");
    const size_t space = text ? text->find(' ') : std::string::npos;
    if (space == std::string::npos) return std::nullopt;
    const std::string_view view = *text;
    return ratio(view.substr(0, space), view.substr(space + 1));
}

Quota quota_of_group_v1(const std::string& folder) {
    const auto quota = read_text_file(folder + "/cpu.cfs_quota_us");
    const auto period = read_text_file(folder + "/cpu.cfs_period_us");
    if (!quota || !period) return std::nullopt;
    return ratio(*quota, *period);
}

// Tightest quota of `path` and its parents below `mount`, the mount's root included.
Quota quota_on_path(const std::string& mount, std::string_view path,
                    Quota (*quota_of_group)(const std::string&)) {
    // A path that climbs out belongs to somebody else's namespace.
    if (!path.starts_with('/') || path.find("/..") != std::string_view::npos) path = {};
    Quota quota;
    while (!path.empty() && path != "/") {
        quota = tighter(quota, quota_of_group(mount + std::string(path)));
        path = path.substr(0, path.find_last_of('/'));
    }
    return tighter(quota, quota_of_group(mount));
}

bool names_cpu(std::string_view controllers) {
    while (!controllers.empty()) {
        const size_t comma = std::min(controllers.find(','), controllers.size());
        if (controllers.substr(0, comma) == "cpu") return true;
        controllers.remove_prefix(std::min(comma + 1, controllers.size()));
    }
    return false;
}

Quota quota_of_line(const std::string& mount, std::string_view line) {
    const size_t first = line.find(':');
    const size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) return std::nullopt;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    const std::string_view path = line.substr(second + 1);
    if (controllers.empty()) {
        return tighter(quota_on_path(mount, path, quota_of_group_v2),
                       quota_on_path(mount + "/unified", path, quota_of_group_v2));
    }
    if (!names_cpu(controllers)) return std::nullopt;
    // The usual names of the mount: the controller, or all that are mounted together.
    return tighter(quota_on_path(mount + "/cpu", path, quota_of_group_v1),
                   quota_on_path(mount + "/" + std::string(controllers), path, quota_of_group_v1));
}

}  // namespace

std::optional<double> read_cpu_quota(const CgroupPaths& paths) {
    const auto membership = read_text_file(paths.membership);
    if (!membership) return std::nullopt;
    Quota quota;
    std::string_view lines = *membership;
    while (!lines.empty()) {
        const size_t end = std::min(lines.find('\n'), lines.size());
        quota = tighter(quota, quota_of_line(paths.mount, lines.substr(0, end)));
        lines.remove_prefix(std::min(end + 1, lines.size()));
    }
    return quota;
}

}  // namespace gemlet
