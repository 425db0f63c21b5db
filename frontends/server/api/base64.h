// Base64 as requests carry pictures and sounds.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace gemlet::server {

/// Decodes standard or URL-safe base64, padded or not; line ends between are skipped. Nothing for
/// other characters, wrong padding and lengths that no bytes give.
std::optional<std::vector<uint8_t>> decode_base64(std::string_view text);

}  // namespace gemlet::server
