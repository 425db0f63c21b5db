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
    uint64_t at = 0;
    while (has_text(bytes, at, "ID3")) {
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

Status check_chunks(SoundBytes& bytes, const Chunks& format, uint64_t promised_in_front) {
    const Chunk data = find_chunk(bytes, format, format.data_tag);
    if (!data.found) return {};  // the library says what is wrong
    const uint64_t promised = promised_in_front != 0 ? promised_in_front : data.size;
    if (format.size_bytes == 8 && promised == ~uint64_t{0}) return {};
    if (promised_in_front == 0 && format.size_bytes == 4 && format.order == Order::little) {
        // Programs that write into a pipe cannot go back: ffmpeg promises all that fits into 32
        // bits, sox and arecord about half of it.
        const bool is_unknown =
            promised >= 0xFFFFF000U || (promised >= 0x7FFFF000U && promised <= 0x80000100U);
        if (is_unknown) return {};
    }
    if (data.begin > bytes.size() || promised > bytes.size() - data.begin) return ends_early(bytes);
    return {};
}

Status check_wav(SoundBytes& bytes) {
    const Order order = has_text(bytes, 0, "RIFX") ? Order::big : Order::little;
    const Chunks format = {12, 4, order, "data", 2};
    uint64_t promised = 0;
    if (has_text(bytes, 0, "RF64")) {
        const Chunk sizes = find_chunk(bytes, format, "ds64");
        if (sizes.found) promised = number_at(bytes, sizes.begin + 8, 8, Order::little);
    }
    return check_chunks(bytes, format, promised);
}

Status check_au(SoundBytes& bytes) {
    const Order order = has_text(bytes, 0, ".snd") ? Order::big : Order::little;
    const uint64_t begin = number_at(bytes, 4, 4, order);
    const uint64_t promised = number_at(bytes, 8, 4, order);
    if (promised == 0xFFFFFFFFU) return {};
    const bool fits = begin <= bytes.size() && promised <= bytes.size() - begin;
    return fits ? Status() : ends_early(bytes);
}

// An Ogg file is a row of pages; each tells its size in its header, of 27 bytes and a table.
Status check_ogg(SoundBytes& bytes) {
    constexpr size_t kHeader = 27;
    constexpr size_t kMostOfAPage = kHeader + 255 + 255 * 255;
    std::vector<uint8_t> tail(std::min<uint64_t>(bytes.size(), kMostOfAPage));
    const uint64_t tail_at = bytes.size() - tail.size();
    if (bytes.read_at(tail_at, tail) < tail.size()) return ends_early(bytes);
    constexpr std::string_view kTag = "OggS";
    const auto last = std::find_end(tail.begin(), tail.end(), kTag.begin(), kTag.end());
    if (last == tail.end()) return ends_early(bytes);
    const std::span page(tail.data() + (last - tail.begin()),
                         static_cast<size_t>(tail.end() - last));
    if (page.size() < kHeader || page.size() < kHeader + page[kHeader - 1]) {
        return ends_early(bytes);
    }
    const size_t n_pieces = page[kHeader - 1];
    size_t end = kHeader + n_pieces;
    for (size_t i = 0; i < n_pieces; ++i) end += page[kHeader + i];
    return page.size() < end ? ends_early(bytes) : Status();
}

// The first frame of an MP3 may hold, instead of sound, the length of the whole in bytes.
Status check_mp3(SoundBytes& bytes) {
    constexpr uint64_t kMostOfAFrame = 1441;  // tags at the end, that may be gone, also count
    const uint64_t begin = behind_tags(bytes);
    for (uint64_t at = begin + 4; at < begin + 44; ++at) {
        if (!has_text(bytes, at, "Xing") && !has_text(bytes, at, "Info")) continue;
        const uint64_t flags = number_at(bytes, at + 4, 4, Order::big);
        if ((flags & 2U) == 0) return {};
        const uint64_t promised =
            number_at(bytes, at + ((flags & 1U) != 0 ? 12 : 8), 4, Order::big);
        return promised > bytes.size() - begin + kMostOfAFrame ? ends_early(bytes) : Status();
    }
    return {};
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
    if (has_text(bytes, 0, "OggS")) return SoundFormat::ogg;
    const uint64_t begin = behind_tags(bytes);
    if (has_text(bytes, begin, "fLaC")) return SoundFormat::flac;
    if (is_mp3_frame(number_at(bytes, begin, 4, Order::big))) return SoundFormat::mp3;
    return SoundFormat::other;
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
