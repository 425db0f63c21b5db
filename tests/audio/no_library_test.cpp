// What builds without libsndfile and libsoxr read, beside what those libraries make of it.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <random>

#include "frontends/audio/sinc_resampler.h"
#include "frontends/audio/sound_format.h"
#include "frontends/audio/sound_source.h"
#include "tests/audio/sound_data.h"

namespace gemlet::audio_test {
namespace {

using Opener = Result<audio::SoundSourcePtr> (*)(audio::SoundBytes&);

// All samples of all channels, as the decoder gives them; empty where it refuses.
Samples decode(const Bytes& bytes, Opener open) {
    const auto memory = audio::SoundBytes::of_memory(bytes);
    const auto source = open(**memory);
    if (!source) return {};
    Samples all;
    Samples block(997 * (*source)->facts().n_channels);
    for (;;) {
        const auto n = (*source)->read(block);
        if (!n) return {};
        const size_t n_samples = *n * (*source)->facts().n_channels;
        if (n_samples == 0) return all;
        all.insert(all.end(), block.begin(), block.begin() + static_cast<ptrdiff_t>(n_samples));
    }
}

// The header's tag replaced by the long form of a description.
Bytes extensible(const Bytes& plain) {
    Bytes bytes(plain.begin(), plain.begin() + 36);
    bytes[16] = 40;
    bytes[20] = 0xFE;
    bytes[21] = 0xFF;
    append(bytes, 22, 2);
    append(bytes, uint64_t{8} * plain[32], 2);
    append(bytes, 3, 4);
    append(bytes, plain[20], 2);
    append(bytes, 0x0080'0010'0000'0000, 8);  // the rest of the GUID
    append(bytes, 0x719B'3800'AA00, 6);
    append(bytes, "odd!");
    append(bytes, 3, 4);
    append(bytes, "123_");  // chunks begin at even places
    bytes.insert(bytes.end(), plain.begin() + 36, plain.end());
    return bytes;
}

TEST(OwnWave, has_the_bits_of_libsndfile) {
    std::mt19937_64 random(3);
    for (const Width width : {Width{1, false}, Width{2, false}, Width{3, false}, Width{4, false},
                              Width{4, true}, Width{8, true}}) {
        for (const uint16_t n_channels : {uint16_t{1}, uint16_t{2}, uint16_t{7}}) {
            std::vector<double> samples(size_t{n_channels} * 3001);
            for (double& x : samples) x = static_cast<double>(random() >> 11U) * 0x1p-52 - 1;
            Bytes plain = wav_file(samples, 11025, n_channels, width);
            const Samples ours = decode(plain, audio::open_wave);
            ASSERT_EQ(ours.size(), samples.size()) << width.n_bytes;
#ifdef GEMLET_SOUND_SNDFILE
            EXPECT_EQ(ours, decode(plain, audio::open_sndfile)) << width.n_bytes;
            EXPECT_EQ(ours, decode(extensible(plain), audio::open_sndfile)) << width.n_bytes;
#endif
            EXPECT_EQ(ours, decode(extensible(plain), audio::open_wave)) << width.n_bytes;
            plain.insert(plain.end(), 5, 0xFF);  // behind the end: a chunk that is none
            EXPECT_EQ(ours, decode(plain, audio::open_wave));
            std::fill_n(plain.begin() + 40, 4, uint8_t{0xFF});  // until the end
            const size_t n_more = 5 / (width.n_bytes * n_channels) * n_channels;
            EXPECT_EQ(decode(plain, audio::open_wave).size(), samples.size() + n_more);
        }
    }
    EXPECT_FALSE(decode(read_file(path_of("rf64.wav")), audio::open_wave).empty());
#ifdef GEMLET_SOUND_SNDFILE
    for (const char* name : {"rf64.wav", "half.wav", "three.wav"}) {
        const Bytes bytes = read_file(path_of(name));
        EXPECT_EQ(decode(bytes, audio::open_wave), decode(bytes, audio::open_sndfile)) << name;
    }
#endif
}

TEST(OwnWave, refuses_what_it_does_not_read) {
    const auto code = [](const Bytes& bytes) {
        const auto memory = audio::SoundBytes::of_memory(bytes);
        const auto source = audio::open_wave(**memory);
        return source ? StatusCode::ok : source.error().code();
    };
    EXPECT_EQ(code(read_file(path_of("adpcm.wav"))), StatusCode::unsupported);
    EXPECT_EQ(code(read_file(path_of("alaw.wav"))), StatusCode::unsupported);
    const std::vector<double> few(8, 0.5);
    EXPECT_EQ(code(wav_file(few, 16000, 1, {5, false})), StatusCode::unsupported);
    Bytes bytes = wav_file(few, 16000, 1, {2, false});
    EXPECT_EQ(code(bytes), StatusCode::ok);
    bytes[3] = 'X';
    EXPECT_EQ(code(bytes), StatusCode::unsupported);
    bytes[3] = 'F';
    bytes[32] = 3;  // frames of three bytes
    EXPECT_EQ(code(bytes), StatusCode::corrupt);
    EXPECT_EQ(code(wav_file(few, 16000, 0, {2, false})), StatusCode::corrupt);
}

TEST(OwnWave, that_is_cut_or_changed_never_gives_more_than_there_is) {
    std::mt19937_64 random(4);
    const std::vector<double> samples(30, 0.25);
    const Bytes whole = extensible(wav_file(samples, 16000, 1, {3, false}));
    for (size_t n = 12; n < whole.size(); ++n) {
        const auto block = std::make_unique<uint8_t[]>(n);
        std::copy_n(whole.begin(), n, block.get());
        const auto memory = audio::SoundBytes::of_memory({block.get(), n});
        const bool is_whole = audio::check_sound_is_whole(**memory, audio::SoundFormat::wav).ok();
        EXPECT_FALSE(is_whole && audio::open_wave(**memory)) << n;
        Bytes changed = whole;
        changed[random() % changed.size()] = static_cast<uint8_t>(random());
        changed[random() % 80] = static_cast<uint8_t>(random());
        EXPECT_LE(decode(changed, audio::open_wave).size(), changed.size());
    }
}

// All results for a sound of a second, in pieces of that size.
Samples convert(const Samples& source, double from, size_t piece) {
    auto resampler = audio::SincResampler::create(from, 16000);
    EXPECT_TRUE(resampler);
    Samples all;
    Samples out(piece);
    std::span<const float> rest = source;
    for (bool is_last = false; !is_last;) {
        const auto step = resampler->process(rest.first(std::min(rest.size(), piece)), out);
        is_last = rest.empty() && step.n_given < out.size();
        rest = rest.subspan(step.n_taken);
        all.insert(all.end(), out.begin(), out.begin() + static_cast<ptrdiff_t>(step.n_given));
    }
    return all;
}

// Largest difference from `level` times the same sine at 16 kHz, away from the ends.
double sine_error(double rate, double frequency, double level) {
    Samples source(static_cast<size_t>(rate / 2));
    const double turns = 2 * std::numbers::pi * frequency;
    for (size_t i = 0; i < source.size(); ++i) {
        source[i] = static_cast<float>(std::sin(turns * static_cast<double>(i) / rate));
    }
    const Samples out = convert(source, rate, 4096);
    EXPECT_EQ(out.size(), 8000U) << rate;
    double largest = 0;
    for (size_t i = 2500; i + 2500 < out.size(); ++i) {
        const double ideal = level * std::sin(turns * static_cast<double>(i) / 16000);
        largest = std::max(largest, std::abs(static_cast<double>(out[i]) - ideal));
    }
    return largest;
}

// Ripple, delay and images together in the pass band; aliases beyond: what its header states.
TEST(OwnResampling, is_flat_below_and_silent_above) {
    double ripple = 0;
    double alias = 0;
    for (const double rate : {1000.0, 8000.0, 11026.0, 15998.0, 44098.0, 44100.0, 192000.0}) {
        const double half = std::min(rate, 16000.0) / 2;
        for (const double part : {0.01, 0.5, 0.9, 0.91}) {
            ripple = std::max(ripple, sine_error(rate, part * half, 1));
        }
        if (rate < 16000) continue;
        for (const double part : {1.0, 1.01, 1.05, 1.3}) {
            alias = std::max(alias, sine_error(rate, part * half, 0));
        }
    }
    std::printf("pass band within %.5f dB, stop band below %.1f dB\n", 20 * std::log10(1 + ripple),
                20 * std::log10(alias));
    EXPECT_LT(20 * std::log10(1 + ripple), 0.001);
    EXPECT_LT(20 * std::log10(alias), -100);
}

TEST(OwnResampling, gives_the_same_in_pieces_of_any_size) {
    std::mt19937_64 random(5);
    for (const double rate : {3000.0, 16001.5, 48000.0, 300000.0}) {
        Samples source(3000);
        for (float& x : source) x = static_cast<float>(random() >> 40U) * 0x1p-23F - 1;
        const Samples whole = convert(source, rate, 100000);
        EXPECT_EQ(whole.size(), static_cast<size_t>(std::llround(3000 * 16000 / rate)));
        for (const size_t piece : {1, 7, 4097}) EXPECT_EQ(convert(source, rate, piece), whole);
        EXPECT_EQ(convert(Samples(1, 1.0F), rate, 10).size(),
                  static_cast<size_t>(std::llround(16000 / rate)));
        EXPECT_TRUE(convert({}, rate, 10).empty());
    }
    for (const double rate : {0.0, -1.0, 1e9, std::nan(""), HUGE_VAL}) {
        EXPECT_EQ(audio::SincResampler::create(rate, 16000).error().code(),
                  StatusCode::bad_argument);
    }
}

}  // namespace
}  // namespace gemlet::audio_test
