// Sounds that are damaged or lie: a clear error or, where the damage cannot be seen, finite
// samples; never anything else.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>

#include "tests/audio/sound_data.h"
#include "tests/core/temp_tree.h"

namespace gemlet::audio_test {
namespace {

using audio::SoundReader;

Status read_status(const Bytes& bytes, const audio::SoundLimits& limits = {}) {
    // A block of exactly that size, so that a sanitizer sees any read beyond.
    const auto block = std::make_unique<uint8_t[]>(bytes.size());
    std::copy(bytes.begin(), bytes.end(), block.get());
    const auto samples = read_all({block.get(), bytes.size()}, 1000, limits);
    if (!samples) {
        EXPECT_STRNE(samples.error().text(), "");
        return samples.error();
    }
    EXPECT_FALSE(samples->empty());
    EXPECT_TRUE(std::all_of(samples->begin(), samples->end(),
                            [](float sample) { return std::isfinite(sample); }));
    return {};
}

TEST(BrokenSounds, that_are_no_sounds_are_errors) {
    const TempTree folder;
    folder.write("empty.wav", "");
    EXPECT_EQ(SoundReader::open(folder.path("empty.wav")).error().code(), StatusCode::corrupt);
    EXPECT_EQ(SoundReader::open(folder.path("absent.wav")).error().code(), StatusCode::not_found);
    EXPECT_EQ(SoundReader::open(folder.path()).error().code(), StatusCode::unsupported);
    EXPECT_EQ(SoundReader::open("/dev/null").error().code(), StatusCode::unsupported);
    EXPECT_EQ(SoundReader::open(std::string("a\0b", 3)).error().code(), StatusCode::bad_argument);
    EXPECT_EQ(SoundReader::from_memory({}).error().code(), StatusCode::corrupt);
    EXPECT_EQ(SoundReader::open(path_of("make_sounds.py")).error().code(), StatusCode::unsupported);
    EXPECT_FALSE(SoundReader::open(path_of("mel.safetensors")));
    // A playlist that would open other files.
    const std::string playlist = "#EXTM3U\n#EXTINF:1,\n" + path_of("sound.m4a") + "\n";
    EXPECT_EQ(read_status({playlist.begin(), playlist.end()}).code(), StatusCode::unsupported);
}

// Which of the sounds here this build can read.
std::vector<std::string> readable(std::initializer_list<const char*> names) {
    std::vector<std::string> found;
    for (const char* name : names) {
        const Status status = read_status(read_file(path_of(name)));
        if (status.ok()) found.emplace_back(name);
        EXPECT_TRUE(status.ok() || status.code() == StatusCode::unsupported) << name;
    }
    return found;
}

TEST(BrokenSounds, that_end_early_are_errors) {
    for (const std::string& name :
         readable({"half.wav", "adpcm.wav", "alaw.wav", "rf64.wav", "sound.aiff", "sound.caf",
                   "sound.au", "sound.flac", "vorbis.ogg", "opus.ogg", "sound.mp3"})) {
        const Bytes whole = read_file(path_of(name));
        // Of an MP3 the last two frames, of 313 bytes each, may be missing: encoders count
        // them differently.
        const size_t n_least = name == "sound.mp3" ? 2 * 313 : 1;
        for (size_t n = whole.size() - n_least; n > 0; n -= std::min<size_t>(n, 64)) {
            const Bytes cut(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(n));
            EXPECT_FALSE(read_status(cut).ok()) << name << " cut to " << n;
        }
    }
}

// Streams of unknown length and formats without one may end anywhere, or be seen to be damaged.
TEST(BrokenSounds, without_a_length_are_read_to_where_they_end) {
    for (const std::string& name :
         readable({"piped.flac", "variable.mp3", "sound.m4a", "flac.ogg"})) {
        const Bytes whole = read_file(path_of(name));
        for (size_t n = whole.size() - 1; n > 0; n -= std::min<size_t>(n, 64)) {
            (void)read_status(Bytes(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(n)));
        }
    }
}

TEST(BrokenSounds, with_changed_bytes_never_crash) {
    std::mt19937_64 random(1);
    for (const std::string& name :
         readable({"adpcm.wav", "alaw.wav", "rf64.wav", "sound.aiff", "sound.caf", "sound.au",
                   "sound.flac", "piped.flac", "vorbis.ogg", "opus.ogg", "flac.ogg", "sound.mp3",
                   "variable.mp3", "sound.m4a"})) {
        const Bytes whole = read_file(path_of(name));
        for (size_t i = 0; i < 60; ++i) {
            Bytes bytes = whole;
            for (size_t n = random() % 3 + 1; n > 0; --n) {
                // Half of them in the first bytes, where the header is.
                const size_t range = random() % 2 == 0 ? 128 : bytes.size();
                bytes[random() % std::min(range, bytes.size())] = static_cast<uint8_t>(random());
            }
            (void)read_status(bytes);
        }
    }
}

const std::vector<double> kSome(400, 0.25);

TEST(BrokenSounds, with_garbage_behind_the_header_are_errors_where_it_can_be_seen) {
    std::mt19937_64 random(2);
    for (const char* name : {"sound.flac", "vorbis.ogg", "opus.ogg"}) {
        const Bytes whole = read_file(path_of(name));
        size_t n_tried = 0;
        // Behind a FLAC's header lie 8 KB of padding, in which nothing can be wrong.
        const size_t begin = name == std::string("sound.flac") ? 8400 : 0;
        for (size_t at = begin; at + 40 < whole.size(); at += 512, ++n_tried) {
            Bytes bytes = whole;
            for (size_t i = 0; i < 32; ++i) bytes[at + i] = static_cast<uint8_t>(random());
            EXPECT_FALSE(read_status(bytes).ok()) << name << " at " << at;
        }
        EXPECT_GT(n_tried, 4U);
    }
    // All garbage is as good a sound as any in 16 bits, and none where samples are floats.
    Bytes bytes = wav_header(16000, 1, {4, true}, 40000);
    for (size_t i = 0; i < 40000; ++i) bytes.push_back(static_cast<uint8_t>(random()));
    EXPECT_EQ(read_status(bytes).code(), StatusCode::corrupt);
}

TEST(BrokenSounds, with_lengths_that_lie_are_errors) {
    const Width width = {2, false};
    const auto promising = [&](uint32_t n_bytes) {
        Bytes bytes = wav_header(16000, 1, width, n_bytes);
        for (const double sample : kSome) append_sample(bytes, sample, width);
        return read_status(bytes);
    };
    EXPECT_TRUE(promising(800).ok());
    EXPECT_EQ(promising(802).code(), StatusCode::corrupt);
    EXPECT_EQ(promising(1'000'000'000).code(), StatusCode::corrupt);
    // What programs write that do not know how much will come.
    EXPECT_TRUE(promising(0xFFFFFFFF).ok());
    EXPECT_TRUE(promising(0x7FFFF000).ok());
    EXPECT_EQ(read_all(wav_file({}, 16000, 1, width)).error().code(), StatusCode::corrupt);
}

TEST(BrokenSounds, with_formats_that_cannot_be_are_errors) {
    for (const Width width : {Width{0, false}, Width{5, false}, Width{7, true}, Width{31, false}}) {
        Bytes bytes = wav_header(16000, 1, width, 800);
        bytes.resize(bytes.size() + 800);
        EXPECT_FALSE(read_status(bytes).ok()) << width.n_bytes;
    }
    const Width width = {2, false};
    EXPECT_FALSE(read_status(wav_file(kSome, 16000, 0, width)).ok());
    EXPECT_FALSE(read_status(wav_file(kSome, 0, 1, width)).ok());
    EXPECT_EQ(read_status(wav_file(kSome, 999, 1, width)).code(), StatusCode::bad_argument);
    EXPECT_EQ(read_status(wav_file(kSome, 768001, 1, width)).code(), StatusCode::bad_argument);
    EXPECT_FALSE(read_status(wav_file(kSome, 0xFFFFFFFF, 1, width)).ok());
}

TEST(BrokenSounds, with_too_many_channels_are_errors) {
    const std::vector<double> frames(96 * 100, 0.5);
    EXPECT_TRUE(read_status(wav_file(std::span(frames).first(6400), 16000, 64, {2, false})).ok());
    const Status status = read_status(wav_file(frames, 16000, 96, {2, false}));
    EXPECT_EQ(status.code(), StatusCode::bad_argument);
    EXPECT_EQ(status.message(), "sound: too many channels (96)");
    EXPECT_TRUE(read_status(wav_file(frames, 16000, 96, {2, false}), {.max_channels = 96}).ok());
    EXPECT_FALSE(read_status(wav_file(frames, 16000, 9600, {2, false})).ok());
}

TEST(BrokenSounds, with_samples_that_are_no_numbers_say_where) {
    for (const double bad : {std::nan(""), HUGE_VAL, -HUGE_VAL, 1e30}) {
        std::vector<double> samples(10000, 0.5);
        samples[2 * 4444 + 1] = bad;
        const Status status = read_status(wav_file(samples, 16000, 2, {4, true}));
        EXPECT_EQ(status.code(), StatusCode::corrupt) << bad;
        EXPECT_EQ(status.number(), 4444) << status.message();
    }
    // The error stays.
    const Bytes bytes = wav_file(std::vector<double>(10, std::nan("")), 16000, 1, {4, true});
    const auto reader = SoundReader::from_memory(bytes);
    Samples out(4);
    EXPECT_FALSE((*reader)->read(out));
    EXPECT_EQ((*reader)->read(out).error().code(), StatusCode::corrupt);
}

TEST(BrokenSounds, of_several_in_a_row_are_errors) {
    Bytes bytes = read_file(path_of("opus.ogg"));
    const Bytes second = read_file(path_of("vorbis.ogg"));
    bytes.insert(bytes.end(), second.begin(), second.end());
    EXPECT_EQ(read_status(bytes).code(), StatusCode::unsupported);
}

}  // namespace
}  // namespace gemlet::audio_test
