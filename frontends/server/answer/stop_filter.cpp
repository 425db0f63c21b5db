// Stops are few and short, so every piece is searched together with what was held.
#include "frontends/server/answer/stop_filter.h"

#include <algorithm>
#include <utility>

namespace gemlet::server {

std::string StopFilter::push(std::string_view text) {
    if (stopped_) return {};
    if (stops_.empty()) return std::string(text);
    held_ += text;
    size_t first = std::string::npos;
    for (const std::string& stop : stops_) first = std::min(first, held_.find(stop));
    if (first != std::string::npos) {
        stopped_ = true;
        held_.resize(first);
        return std::exchange(held_, {});
    }
    // The longest end that is the beginning of a stop.
    size_t n_kept = 0;
    for (const std::string& stop : stops_) {
        size_t n = std::min(stop.size() - 1, held_.size());
        while (n > n_kept && !std::string_view(held_).ends_with(stop.substr(0, n))) --n;
        n_kept = std::max(n_kept, n);
    }
    std::string shown = held_.substr(0, held_.size() - n_kept);
    held_.erase(0, shown.size());
    return shown;
}

std::string StopFilter::flush() { return std::exchange(held_, {}); }

}  // namespace gemlet::server
