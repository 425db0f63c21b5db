// What an encoder made of a medium, and a cache of that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <vector>

#include "frontends/media/content_hash.h"

namespace gemlet {

/// A medium as the prompt takes it.
struct SoftTokens {
    size_t n = 0;                            // rows; of a video: of each of its frames
    std::vector<float> values = {};          // [n, d_model], for a video [frames, n, d_model]
    std::vector<double> frame_seconds = {};  // video: the time of each frame
    uint64_t mark = 0;                       // of the content; never 0

    size_t n_frames() const { return frame_seconds.empty() ? 1 : frame_seconds.size(); }
    size_t width() const { return n == 0 ? 0 : values.size() / (n * n_frames()); }
    const float* rows_of(size_t frame) const { return values.data() + frame * n * width(); }
    /// Marks tell frames apart as well.
    uint64_t mark_of(size_t frame) const { return mark + 2 * frame; }
};

using SharedSoftTokens = std::shared_ptr<const SoftTokens>;

/// Keeps what contents were encoded to. What was not asked for longest goes first when the limit is
/// reached, but what is in use stays with those who hold it. One thread at a time.
class SoftTokenCache {
  public:
    static constexpr size_t kDefaultBytes = size_t{256} << 20U;  // 32768 rows of 2048 values

    explicit SoftTokenCache(size_t max_bytes = kDefaultBytes) : max_bytes_(max_bytes) {}

    /// Sets the limit for all that is kept from now on.
    void limit(size_t max_bytes) { max_bytes_ = max_bytes; }
    /// Returns null for content that is not there.
    SharedSoftTokens find(const ContentHash& hash);
    /// Adds an entry, which is kept even if it alone exceeds the limit.
    SharedSoftTokens keep(const ContentHash& hash, SoftTokens soft);

    size_t bytes() const { return bytes_; }

  private:
    struct Entry {
        ContentHash hash;
        SharedSoftTokens soft;
    };
    std::list<Entry> entries_;  // the one asked for last is first
    size_t bytes_ = 0;
    size_t max_bytes_;
};

}  // namespace gemlet
