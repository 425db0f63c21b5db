// Entries are megabytes each, so there are few: a list in order of use is searched from its front.
#include "frontends/media/soft_tokens.h"

#include <algorithm>
#include <utility>

namespace gemlet {
namespace {

size_t bytes_of(const SoftTokens& soft) { return soft.values.size() * sizeof(float); }

}  // namespace

SharedSoftTokens SoftTokenCache::find(const ContentHash& hash) {
    const auto found = std::find_if(entries_.begin(), entries_.end(),
                                    [&](const Entry& entry) { return entry.hash == hash; });
    if (found == entries_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, found);
    return entries_.front().soft;
}

SharedSoftTokens SoftTokenCache::keep(const ContentHash& hash, SoftTokens soft) {
    bytes_ += bytes_of(soft);
    entries_.push_front({hash, std::make_shared<const SoftTokens>(std::move(soft))});
    while (bytes_ > max_bytes_ && entries_.size() > 1) {
        bytes_ -= bytes_of(*entries_.back().soft);
        entries_.pop_back();
    }
    return entries_.front().soft;
}

}  // namespace gemlet
