// Reads one tag of the first directory of a TIFF header, in either byte order.
#include "frontends/image/formats/exif.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace gemlet::image {
namespace {

constexpr uint64_t kOrientationTag = 0x0112;
constexpr uint64_t kTypeShort = 3;
constexpr uint64_t kTypeLong = 4;
constexpr size_t kEntryBytes = 12;

// Numbers at offsets from the TIFF header; what lies outside the block reads as 0.
struct TiffBlock {
    std::span<const uint8_t> bytes;
    bool big_endian = false;

    uint64_t number(uint64_t at, size_t n_bytes) const {
        if (at > bytes.size() || bytes.size() - at < n_bytes) return 0;
        uint64_t value = 0;
        for (size_t i = 0; i < n_bytes; ++i) {
            const size_t from = big_endian ? i : n_bytes - 1 - i;
            value = value << 8U | bytes[static_cast<size_t>(at) + from];
        }
        return value;
    }
};

}  // namespace

unsigned exif_orientation(std::span<const uint8_t> block) {
    constexpr std::array<uint8_t, 6> kMark = {'E', 'x', 'i', 'f', 0, 0};
    if (block.size() >= kMark.size() && std::equal(kMark.begin(), kMark.end(), block.begin())) {
        block = block.subspan(kMark.size());
    }
    if (block.size() < 8) return 1;
    const bool big_endian = block[0] == 'M' && block[1] == 'M';
    if (!big_endian && !(block[0] == 'I' && block[1] == 'I')) return 1;
    const TiffBlock tiff = {block, big_endian};
    if (tiff.number(2, 2) != 42) return 1;

    const uint64_t directory = tiff.number(4, 4);
    const uint64_t n_entries = tiff.number(directory, 2);
    for (uint64_t i = 0; i < n_entries; ++i) {
        const uint64_t entry = directory + 2 + i * kEntryBytes;
        if (tiff.number(entry, 2) != kOrientationTag) continue;
        const uint64_t type = tiff.number(entry + 2, 2);
        if (tiff.number(entry + 4, 4) != 1 || (type != kTypeShort && type != kTypeLong)) return 1;
        const uint64_t value = tiff.number(entry + 8, type == kTypeShort ? 2 : 4);
        return value >= 1 && value <= 8 ? static_cast<unsigned>(value) : 1;
    }
    return 1;
}

}  // namespace gemlet::image
