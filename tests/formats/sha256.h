// A short SHA-256 for tests that compare tables with published digests.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace gemlet {

/// Returns the digest as 64 hexadecimal digits. Source: FIPS 180-4, section 6.2.
std::string sha256_hex(const std::vector<uint8_t>& bytes);

}  // namespace gemlet
