// Pictures that requests name as files of this machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gemlet::server {

enum class MediaFileFault : uint8_t { none, outside, missing, too_large };

/// Reads a file under `folder`, named in full or from there on. `outside` for every other path, for
/// one with "..", and for links that lead out; `missing` for what is no ordinary file with content.
MediaFileFault read_media_file(const std::string& folder, std::string_view path, size_t most_bytes,
                               std::vector<uint8_t>& bytes);

}  // namespace gemlet::server
