// Source: RFC 4648, sections 4 and 5.
#include "frontends/server/api/base64.h"

namespace gemlet::server {
namespace {

/// Six bits of a character; 64: none.
uint32_t value_of(char c) {
    if (c >= 'A' && c <= 'Z') return static_cast<uint32_t>(c - 'A');
    if (c >= 'a' && c <= 'z') return static_cast<uint32_t>(c - 'a') + 26;
    if (c >= '0' && c <= '9') return static_cast<uint32_t>(c - '0') + 52;
    if (c == '+' || c == '-') return 62;
    if (c == '/' || c == '_') return 63;
    return 64;
}

}  // namespace

std::optional<std::vector<uint8_t>> decode_base64(std::string_view text) {
    std::vector<uint8_t> bytes;
    bytes.reserve(text.size() / 4 * 3 + 3);
    uint32_t bits = 0;
    size_t n = 0;  // characters that count
    size_t n_padding = 0;
    for (const char c : text) {
        if (c == '\n' || c == '\r') continue;
        if (c == '=') {
            ++n_padding;
            continue;
        }
        const uint32_t value = value_of(c);
        if (value == 64 || n_padding != 0) return std::nullopt;
        bits = bits << 6U | value;
        if (++n % 4 == 0) {
            bytes.push_back(static_cast<uint8_t>(bits >> 16U));
            bytes.push_back(static_cast<uint8_t>(bits >> 8U));
            bytes.push_back(static_cast<uint8_t>(bits));
        }
    }
    if (n % 4 == 1 || (n_padding != 0 && (n + n_padding) % 4 != 0) || n_padding > 2) {
        return std::nullopt;
    }
    if (n % 4 == 2) bytes.push_back(static_cast<uint8_t>(bits >> 4U));
    if (n % 4 == 3) {
        bytes.push_back(static_cast<uint8_t>(bits >> 10U));
        bytes.push_back(static_cast<uint8_t>(bits >> 2U));
    }
    return bytes;
}

}  // namespace gemlet::server
