// Just enough of each container to see that bytes are missing. Everything else about them is left
// to the libraries, which see the file only after this.
#include "frontends/audio/sound_format.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>
#include <vector>

namespace gemlet::audio {
namespace {

enum class Order : uint8_t { little, big };

// The whole number in bytes[at .. at + n); zero where the bytes end.
uint64_t number_at(SoundBytes& bytes, uint64_t at, size_t n, Order order) {
    std::array<uint8_t, 8> raw{};
    if (bytes.read_at(at, std::span(raw).first(n)) < n) return 0;
    uint64_t value = 0;
    for (size_t i = 0; i < n; ++i) {
        value = value << 8U | raw[order == Order::big ? i : n - 1 - i];
    }
    return value;
}

bool has_text(SoundBytes& bytes, uint64_t at, std::string_view text) {
    std::array<uint8_t, 8> raw{};
    const size_t n = std::min(text.size(), raw.size());
    return bytes.read_at(at, std::span(raw).first(n)) == n &&
           std::memcmp(raw.data(), text.data(), n) == 0;
}

// Where the sound begins behind ID3 tags of version 2, which tell their size in bytes of 7 bits.
uint64_t behind_tags(SoundBytes& bytes) {
    constexpr size_t kMaxTags = 16;  // a file may consist of nothing else
    uint64_t at = 0;
    for (size_t i = 0; i < kMaxTags && has_text(bytes, at, "ID3"); ++i) {
        const uint64_t packed = number_at(bytes, at + 6, 4, Order::big);
        const uint64_t size = (packed & 0x7FU) | (packed >> 1U & 0x3F80U) |
                              (packed >> 2U & 0x1FC000U) | (packed >> 3U & 0xFE00000U);
        const bool has_footer = (number_at(bytes, at + 5, 1, Order::big) & 0x10U) != 0;
        at += size + (has_footer ? 20 : 10);
    }
    return at;
}

bool is_mp3_frame(uint64_t header) {
    return (header & 0xFFE00000U) == 0xFFE00000U && (header >> 19U & 3U) != 1 &&  // version
           (header >> 17U & 3U) != 0 &&                                           // layer
           (header >> 12U & 15U) != 15 && (header >> 10U & 3U) != 3;              // rates
}

Status ends_early(const SoundBytes& bytes) {
    return {StatusCode::corrupt, "the file ends before its sound does", bytes.name()};
}

Status damaged(const SoundBytes& bytes) {
    return {StatusCode::corrupt, "the sound's data is damaged", bytes.name()};
}

// A container of chunks: a tag of four letters, a size, that many bytes.
struct Chunks {
    uint64_t first;  // offset of the first chunk
    size_t size_bytes;
    Order order;
    std::string_view data_tag;
    uint64_t alignment;
};

struct Chunk {
    uint64_t begin = 0;
    uint64_t size = 0;
    bool found = false;
};

Chunk find_chunk(SoundBytes& bytes, const Chunks& format, std::string_view tag) {
    constexpr size_t kMaxChunks = 10000;  // of no bytes each, they could keep us busy
    uint64_t at = format.first;
    for (size_t i = 0; i < kMaxChunks && at < bytes.size(); ++i) {
        const uint64_t begin = at + 4 + format.size_bytes;
        const uint64_t size = number_at(bytes, at + 4, format.size_bytes, format.order);
        if (has_text(bytes, at, tag)) return {begin, size, true};
        if (size > bytes.size()) break;
        at = begin + (size + format.alignment - 1) / format.alignment * format.alignment;
    }
    return {};
}

// Programs that write into a pipe cannot go back: ffmpeg promises all that fits into 32 bits, sox
// and arecord about half of it.
bool is_unknown_length(uint64_t promised) {
    return promised >= 0xFFFFF000U || (promised >= 0x7FFFF000U && promised <= 0x80000100U);
}

Status check_chunks(SoundBytes& bytes, const Chunks& format, uint64_t promised_in_front) {
    const Chunk data = find_chunk(bytes, format, format.data_tag);
    if (!data.found) return {};  // the library says what is wrong
    const uint64_t promised = promised_in_front != 0 ? promised_in_front : data.size;
    if (format.size_bytes == 8 && promised == ~uint64_t{0}) return {};
    if (promised_in_front == 0 && format.size_bytes == 4 && format.order == Order::little &&
        is_unknown_length(promised)) {
        return {};
    }
    if (data.begin > bytes.size() || promised > bytes.size() - data.begin) return ends_early(bytes);
    return {};
}

Chunks wav_chunks(SoundBytes& bytes) {
    return {12, 4, has_text(bytes, 0, "RIFX") ? Order::big : Order::little, "data", 2};
}

// The length that RF64 tells in front; 0 where it is told with the samples.
uint64_t rf64_length(SoundBytes& bytes) {
    if (!has_text(bytes, 0, "RF64")) return 0;
    const Chunk sizes = find_chunk(bytes, wav_chunks(bytes), "ds64");
    return sizes.found ? number_at(bytes, sizes.begin + 8, 8, Order::little) : 0;
}

Status check_wav(SoundBytes& bytes) {
    return check_chunks(bytes, wav_chunks(bytes), rf64_length(bytes));
}

Status check_au(SoundBytes& bytes) {
    const Order order = has_text(bytes, 0, ".snd") ? Order::big : Order::little;
    const uint64_t begin = number_at(bytes, 4, 4, order);
    const uint64_t promised = number_at(bytes, 8, 4, order);
    if (promised == 0xFFFFFFFFU) return {};
    const bool fits = begin <= bytes.size() && promised <= bytes.size() - begin;
    return fits ? Status() : ends_early(bytes);
}

// Ogg's checksum of a page, in which its own four bytes count as zeros.
uint32_t ogg_checksum(std::span<const uint8_t> page, size_t own_at) {
    uint32_t sum = 0;
    for (size_t i = 0; i < page.size(); ++i) {
        const bool is_own = i >= own_at && i < own_at + 4;
        sum ^= static_cast<uint32_t>(is_own ? 0 : page[i]) << 24U;
        for (size_t bit = 0; bit < 8; ++bit) {
            sum = sum << 1U ^ ((sum >> 31U) != 0 ? 0x04C11DB7U : 0U);
        }
    }
    return sum;
}

// An Ogg file is a row of pages; each tells its size in a header of 27 bytes and a table.
struct OggPage {
    bool is_first = false;     // of a sound
    uint64_t position = 0;     // in the sound, where the page ends
    std::span<uint8_t> bytes;  // none when the file ends before the page does
};

Result<OggPage> read_ogg_page(SoundBytes& file, uint64_t at, std::span<uint8_t> buffer) {
    constexpr size_t kHeader = 27;
    constexpr size_t kMostOfAHeader = kHeader + 255;
    const auto header = buffer.first(file.read_at(at, buffer.first(kMostOfAHeader)));
    if (header.size() < kHeader) return OggPage();
    if (std::memcmp(header.data(), "OggS", 4) != 0) return damaged(file);
    const size_t n_pieces = header[kHeader - 1];
    if (header.size() < kHeader + n_pieces) return OggPage();
    size_t size = kHeader + n_pieces;
    for (size_t i = 0; i < n_pieces; ++i) size += header[kHeader + i];
    if (size > file.size() - at) return OggPage();
    return OggPage{(header[5] & 2U) != 0, number_at(file, at + 6, 8, Order::little),
                   buffer.first(size)};
}

bool has_ogg_checksum(SoundBytes& file, uint64_t at, std::span<uint8_t> page) {
    constexpr size_t kChecksumAt = 22;
    if (file.read_at(at, page) < page.size()) return false;
    return ogg_checksum(page, kChecksumAt) == number_at(file, at + kChecksumAt, 4, Order::little);
}

// libsndfile leaves broken pages out, which shows in the number of samples, unless it is the first
// page with sound, or the last, which says what that number should be. Of several sounds in a row
// it reads the first and is silent about the others.
Status check_ogg(SoundBytes& file) {
    constexpr size_t kMostOfAPage = 27 + 255 + 255 * 255;
    constexpr uint64_t kNothingEnds = ~uint64_t{0};
    std::vector<uint8_t> buffer(kMostOfAPage);
    bool has_sound = false;
    for (uint64_t at = 0; at < file.size();) {
        const Result<OggPage> page = read_ogg_page(file, at, buffer);
        GEMLET_TRY(page);
        if (page->bytes.empty()) return ends_early(file);
        if (page->is_first && has_sound) {
            return {StatusCode::unsupported, "several sounds in one file, one behind the other",
                    file.name()};
        }
        const bool is_last = at + page->bytes.size() == file.size();
        if ((!has_sound || is_last) && !has_ogg_checksum(file, at, page->bytes)) {
            return damaged(file);
        }
        has_sound = has_sound || (page->position != 0 && page->position != kNothingEnds);
        at += page->bytes.size();
    }
    return {};
}

// The first frame of an MP3 may hold, instead of sound, the length of the whole.
struct Mp3Length {
    bool has_frames = false;
    uint64_t n_bytes = 0;  // from the first frame on; 0 where it is not told
};

Mp3Length mp3_length(SoundBytes& bytes, uint64_t begin) {
    for (uint64_t at = begin + 4; at < begin + 44; ++at) {
        if (!has_text(bytes, at, "Xing") && !has_text(bytes, at, "Info")) continue;
        const uint64_t flags = number_at(bytes, at + 4, 4, Order::big);
        const bool has_frames = (flags & 1U) != 0;
        const uint64_t n_bytes =
            (flags & 2U) != 0 ? number_at(bytes, at + (has_frames ? 12 : 8), 4, Order::big) : 0;
        return {has_frames, n_bytes};
    }
    return {};
}

Status check_mp3(SoundBytes& bytes) {
    constexpr uint64_t kMostOfAFrame = 1441;  // tags at the end, that may be gone, also count
    const uint64_t begin = behind_tags(bytes);
    const uint64_t promised = mp3_length(bytes, begin).n_bytes;
    const uint64_t there = begin < bytes.size() ? bytes.size() - begin : 0;
    return promised > there + kMostOfAFrame ? ends_early(bytes) : Status();
}

}  // namespace

SoundFormat identify_sound(SoundBytes& bytes) {
    const bool is_riff = has_text(bytes, 0, "RIFF") || has_text(bytes, 0, "RIFX");
    if ((is_riff || has_text(bytes, 0, "RF64")) && has_text(bytes, 8, "WAVE")) {
        return SoundFormat::wav;
    }
    if (has_text(bytes, 0, "FORM") && (has_text(bytes, 8, "AIFF") || has_text(bytes, 8, "AIFC"))) {
        return SoundFormat::aiff;
    }
    if (has_text(bytes, 0, ".snd") || has_text(bytes, 0, "dns.")) return SoundFormat::au;
    if (has_text(bytes, 0, "caff")) return SoundFormat::caf;
    if (has_text(bytes, 0, "OggS")) {
        constexpr uint64_t kFirstPacket = 28;
        const bool is_known = has_text(bytes, kFirstPacket, "\x01vorbis") ||
                              has_text(bytes, kFirstPacket, "OpusHead");
        return is_known ? SoundFormat::ogg : SoundFormat::other;
    }
    const uint64_t begin = behind_tags(bytes);
    if (has_text(bytes, begin, "fLaC")) return SoundFormat::flac;
    if (is_mp3_frame(number_at(bytes, begin, 4, Order::big))) return SoundFormat::mp3;
    return SoundFormat::other;
}

WavChunks find_wav_chunks(SoundBytes& bytes) {
    WavChunks found;
    if (has_text(bytes, 0, "RIFX")) return found;
    const Chunk format = find_chunk(bytes, wav_chunks(bytes), "fmt ");
    const Chunk data = find_chunk(bytes, wav_chunks(bytes), "data");
    if (format.found) {
        found.format_begin = format.begin;
        found.format_bytes = format.size;
    }
    if (!data.found || data.begin > bytes.size()) return found;
    const uint64_t n_left = bytes.size() - data.begin;
    const uint64_t in_front = rf64_length(bytes);
    const uint64_t promised = in_front != 0 ? in_front : data.size;
    const bool is_unknown = in_front == 0 && is_unknown_length(promised);
    found.data_begin = data.begin;
    found.data_bytes = is_unknown ? n_left : std::min(promised, n_left);
    return found;
}

bool mp3_tells_length(SoundBytes& bytes) {
    return mp3_length(bytes, behind_tags(bytes)).has_frames;
}

Status check_sound_is_whole(SoundBytes& bytes, SoundFormat format) {
    switch (format) {
        case SoundFormat::wav:
            return check_wav(bytes);
        case SoundFormat::aiff:
            return check_chunks(bytes, {12, 4, Order::big, "SSND", 2}, 0);
        case SoundFormat::au:
            return check_au(bytes);
        case SoundFormat::caf:
            return check_chunks(bytes, {8, 8, Order::big, "data", 1}, 0);
        case SoundFormat::ogg:
            return check_ogg(bytes);
        case SoundFormat::mp3:
            return check_mp3(bytes);
        case SoundFormat::flac:
        case SoundFormat::other:
            return {};
    }
    return {};
}

}  // namespace gemlet::audio
