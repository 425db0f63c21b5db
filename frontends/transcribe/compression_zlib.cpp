// The compression ratio, measured with zlib.
#include <zlib.h>

#include <vector>

#include "frontends/transcribe/loop_guard.h"

namespace gemlet {

float compression_ratio(std::string_view text) {
    if (text.empty()) return 0;
    uLongf size = compressBound(static_cast<uLong>(text.size()));
    std::vector<Bytef> compressed(size);
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): zlib counts unsigned bytes.
    const auto* bytes = reinterpret_cast<const Bytef*>(text.data());
    if (compress2(compressed.data(), &size, bytes, static_cast<uLong>(text.size()),
                  Z_DEFAULT_COMPRESSION) != Z_OK) {
        return 0;
    }
    return static_cast<float>(text.size()) / static_cast<float>(size);
}

}  // namespace gemlet
