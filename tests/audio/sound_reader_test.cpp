// Sounds of every format, width and rate against what they were made of.
#include "frontends/audio/sound_reader.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <random>

#include "frontends/audio/mel.h"
#include "tests/audio/sound_data.h"
#include "tests/core/temp_tree.h"

namespace gemlet::audio_test {
namespace {

using audio::SoundReader;

// A pipe with bytes in it, closed at the writer's end unless it is kept open.
class Pipe {
  public:
    Pipe() { EXPECT_EQ(pipe2(ends_.data(), O_CLOEXEC), 0); }
    ~Pipe() {
        end();
        close(ends_[0]);
    }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;

    int reading_end() const { return ends_[0]; }
    void send(const Bytes& bytes) {
        EXPECT_EQ(write(ends_[1], bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    }
    void end() {
        if (ends_[1] >= 0) close(ends_[1]);
        ends_[1] = -1;
    }

  private:
    std::array<int, 2> ends_ = {-1, -1};
};

Bytes pcm16(const std::vector<int16_t>& samples) {
    Bytes bytes;
    for (const int16_t sample : samples) append(bytes, static_cast<uint16_t>(sample), 2);
    return bytes;
}

TEST(RawReader, gives_what_has_arrived) {
    Pipe pipe;
    const auto reader = SoundReader::raw_pcm16(pipe.reading_end(), 16000);
    ASSERT_TRUE(reader) << reader.error().message();
    EXPECT_FALSE((*reader)->duration_s());
    Samples out(100);
    pipe.send(pcm16({0, 1, -32768}));
    ASSERT_EQ(*(*reader)->read(out), 3U);
    EXPECT_EQ(out[0], 0.0F);
    EXPECT_EQ(out[1], 1.0F / 32768);
    EXPECT_EQ(out[2], -1.0F);
    pipe.send({0x34});  // half a sample
    pipe.send({0x12, 0x78, 0x56, 0x9A});
    ASSERT_EQ(*(*reader)->read(out), 2U);
    EXPECT_EQ(out[0], 0x1234 / 32768.0F);
    EXPECT_EQ(out[1], 0x5678 / 32768.0F);
    EXPECT_DOUBLE_EQ((*reader)->position_s(), 5 / 16000.0);
    pipe.end();
    EXPECT_EQ(*(*reader)->read(out), 0U);
    EXPECT_EQ(*(*reader)->read(out), 0U);
}

TEST(RawReader, waits_for_descriptors_that_do_not) {
    Pipe pipe;
    ASSERT_EQ(fcntl(pipe.reading_end(), F_SETFL, O_NONBLOCK), 0);
    const auto reader = SoundReader::raw_pcm16(pipe.reading_end(), 16000);
    pipe.send(pcm16({5, 6}));
    pipe.end();
    EXPECT_EQ(read_all(**reader)->size(), 2U);
}

TEST(RawReader, refuses_what_is_no_rate_and_no_sound) {
    for (const double rate : {0.0, -16000.0, 999.0, 1e6, std::nan(""), HUGE_VAL}) {
        EXPECT_EQ(SoundReader::raw_pcm16(0, rate).error().code(), StatusCode::bad_argument) << rate;
    }
    Pipe pipe;
    pipe.end();
    const auto reader = SoundReader::raw_pcm16(pipe.reading_end(), 16000);
    EXPECT_EQ(read_all(**reader).error().code(), StatusCode::corrupt);
    const auto closed = SoundReader::raw_pcm16(-1, 16000);
    EXPECT_EQ(read_all(**closed).error().code(), StatusCode::io);
}

TEST(RawReader, converts_its_rate) {
    Pipe pipe;
    const auto reader = SoundReader::raw_pcm16(pipe.reading_end(), 8000);
    std::vector<int16_t> sent(2000);
    for (size_t i = 0; i < sent.size(); ++i) {
        sent[i] = static_cast<int16_t>(std::lround(32768 * chirp(static_cast<double>(i) / 8000)));
    }
    pipe.send(pcm16(sent));
    pipe.end();
    const auto samples = read_all(**reader, 77);
    ASSERT_TRUE(samples) << samples.error().message();
    ASSERT_EQ(samples->size(), 4000U);
    for (size_t i = 0; i < samples->size(); ++i) {
        ASSERT_NEAR((*samples)[i], chirp(static_cast<double>(i) / 16000), 2e-4) << i;
    }
}

TEST(SoundReader, reads_wav_of_every_width_exactly) {
    std::mt19937_64 random(1);
    for (const Width width : {Width{1, false}, Width{2, false}, Width{3, false}, Width{4, false},
                              Width{4, true}, Width{8, true}}) {
        // Values that all widths but the smallest hold without rounding, and both ends of the
        // scale.
        std::vector<double> samples = {0, -1, 127 / 128.0, -127 / 128.0};
        const double steps = width.n_bytes == 1 ? 128 : 32768;
        for (size_t i = 0; i < 5000; ++i) {
            samples.push_back(
                std::floor(static_cast<double>(random() >> 11U) * 0x1p-52 * steps) / steps - 1);
        }
        const Bytes bytes = wav_file(samples, 16000, 1, width);
        const auto reader = SoundReader::from_memory(bytes);
        ASSERT_TRUE(reader) << reader.error().message();
        EXPECT_DOUBLE_EQ(*(*reader)->duration_s(), static_cast<double>(samples.size()) / 16000);
        const auto read = read_all(**reader);
        ASSERT_TRUE(read) << read.error().message();
        ASSERT_EQ(read->size(), samples.size());
        for (size_t i = 0; i < samples.size(); ++i) {
            ASSERT_EQ(static_cast<double>((*read)[i]), samples[i])
                << width.n_bytes << " bytes, sample " << i;
        }
    }
}

TEST(SoundReader, averages_channels) {
    for (const uint16_t n_channels : {uint16_t{2}, uint16_t{3}, uint16_t{6}, uint16_t{64}}) {
        std::vector<double> samples;
        for (size_t i = 0; i < 5000; ++i) {
            for (size_t c = 0; c < n_channels; ++c) {
                samples.push_back(static_cast<double>((i + 7 * c) % 256) / 128 - 1);
            }
        }
        const auto read = read_all(wav_file(samples, 16000, n_channels, {2, false}));
        ASSERT_TRUE(read) << read.error().message();
        ASSERT_EQ(read->size(), 5000U);
        for (size_t i = 0; i < read->size(); ++i) {
            double sum = 0;
            for (size_t c = 0; c < n_channels; ++c) sum += samples[i * n_channels + c];
            ASSERT_EQ((*read)[i], static_cast<float>(sum / n_channels));
        }
    }
}

// Every format holds the chirp of make_sounds.py; in stereo the right channel is half as loud.
struct Stored {
    const char* name;
    double level;      // after averaging
    double tolerance;  // root mean square of the error, relative to the sound's
};

class StoredSound : public testing::TestWithParam<Stored> {};

TEST_P(StoredSound, is_the_chirp_it_was_made_of) {
    const Stored& stored = GetParam();
    const auto reader = SoundReader::open(path_of(stored.name));
    if (!reader && reader.error().code() == StatusCode::unsupported) GTEST_SKIP();
    ASSERT_TRUE(reader) << reader.error().message();
    const auto samples = read_all(**reader);
    ASSERT_TRUE(samples) << samples.error().message();
    const double n_expected = kChirpSeconds * audio::kSoundRate;
    // Coders append up to a frame of what should be silence.
    ASSERT_GE(static_cast<double>(samples->size()), n_expected);
    ASSERT_LE(static_cast<double>(samples->size()), n_expected + 900);
    // Without the encoder's delay in its header an MP3 begins later.
    const bool is_shifted = std::string(stored.name) == "variable.mp3";
    const double delay = is_shifted ? 1105.0 / 44100 : 0;
    double error = 0;
    double power = 0;
    for (size_t i = 0; i < samples->size(); ++i) {
        const double ideal =
            stored.level * chirp(static_cast<double>(i) / audio::kSoundRate - delay);
        power += ideal * ideal;
        error += (static_cast<double>((*samples)[i]) - ideal) *
                 (static_cast<double>((*samples)[i]) - ideal);
    }
    EXPECT_LT(std::sqrt(error / power), stored.tolerance);
}

INSTANTIATE_TEST_SUITE_P(
    Formats, StoredSound,
    // Lossless: steps of 2^-15 and the filter's ripple. Coders: 20 dB.
    testing::Values(Stored{"sound.flac", 0.75, 1e-3}, Stored{"sound24.flac", 0.75, 1e-3},
                    Stored{"piped.flac", 0.75, 1e-3}, Stored{"flac.ogg", 0.75, 1e-3},
                    Stored{"sound.aiff", 1, 1e-3}, Stored{"sound.caf", 1, 1e-3},
                    Stored{"sound.au", 1, 1e-3}, Stored{"rf64.wav", 1, 1e-3},
                    Stored{"alaw.wav", 1, 0.1}, Stored{"adpcm.wav", 1, 0.1},
                    Stored{"vorbis.ogg", 0.75, 0.1}, Stored{"opus.ogg", 0.75, 0.1},
                    Stored{"sound.mp3", 0.75, 0.1}, Stored{"variable.mp3", 0.75, 0.1},
                    Stored{"sound.m4a", 0.75, 0.1}),
    [](const auto& instance) {
        std::string name = instance.param.name;
        std::replace(name.begin(), name.end(), '.', '_');
        return name;
    });

TEST(SoundReader, gives_the_same_in_pieces_of_any_size) {
    for (const char* name : {"sound.flac", "vorbis.ogg", "half.wav"}) {
        const Bytes bytes = read_file(path_of(name));
        const auto whole = read_all(bytes, 100000);
        if (!whole && whole.error().code() == StatusCode::unsupported) continue;
        ASSERT_TRUE(whole) << whole.error().message();
        for (const size_t piece : {1, 13, 4095, 4096, 4097}) {
            ASSERT_EQ(*read_all(bytes, piece), *whole) << name << " " << piece;
        }
        // A file is the same as its bytes; position counts what was given.
        const auto reader = SoundReader::open(path_of(name));
        ASSERT_EQ(*read_all(**reader), *whole) << name;
        EXPECT_DOUBLE_EQ((*reader)->position_s(), static_cast<double>(whole->size()) / 16000);
    }
}

TEST(SoundReader, tells_formats_by_bytes_and_not_by_names) {
    const TempTree folder;
    const Bytes bytes = read_file(path_of("half.wav"));
    folder.write("speech.mp3", {bytes.begin(), bytes.end()});
    const auto reader = SoundReader::open(folder.path("speech.mp3"));
    ASSERT_TRUE(reader) << reader.error().message();
    EXPECT_EQ((*reader)->source_channels(), 1U);
    EXPECT_EQ((*reader)->source_rate(), 16000);
    EXPECT_EQ(read_all(**reader)->size(), 8000U);
}

// A day in a file that takes no room on the disk; a block of it is read, then the end is near.
TEST(SoundReader, holds_no_more_of_two_hours_than_of_two_seconds) {
    const TempTree folder;
    constexpr uint32_t kSamples = 2 * 3600 * 16000;
    const Bytes header = wav_header(16000, 1, {2, false}, 2 * kSamples);
    folder.write("long.wav", {header.begin(), header.end()});
    const std::string path = folder.path("long.wav");
    ASSERT_EQ(truncate(path.c_str(), static_cast<off_t>(header.size() + 2 * kSamples)), 0);
    const auto reader = SoundReader::open(path);
    ASSERT_TRUE(reader) << reader.error().message();
    EXPECT_DOUBLE_EQ(*(*reader)->duration_s(), 7200);
    auto extractor = audio::MelExtractor::create();
    Samples samples(1 << 16);
    size_t n_samples = 0;
    const auto resident_kb = [] {
        std::ifstream file("/proc/self/statm");
        size_t size = 0;
        size_t resident = 0;
        file >> size >> resident;
        return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE)) / 1024;
    };
    size_t at_start_kb = 0;
    for (;;) {
        const auto n = (*reader)->read(samples);
        ASSERT_TRUE(n) << n.error().message();
        if (*n == 0) break;
        n_samples += *n;
        if (at_start_kb == 0) at_start_kb = resident_kb();
    }
    EXPECT_EQ(n_samples, kSamples);
    EXPECT_LT(resident_kb(), at_start_kb + 4096);  // the sound has 230 MB, in float32 460 MB
}

// Three chirps below `top` Hz; known at any time, so that the ideal result at 16 kHz is known.
double speech_like(double t, double top) {
    double sum = 0;
    for (const double part : {0.15, 0.4, 0.9}) {
        const double phase = part * top * (t - 0.2 * std::sin(2.5 * t));
        sum += 0.2 * std::sin(2 * std::numbers::pi * phase);
    }
    return sum;
}

// audio.md 2.1: good resamplers differ by 0.03 on average and by 0.13 at most below 7 kHz.
TEST(Resampling, keeps_mel_frames_as_good_resamplers_do) {
    for (const uint32_t rate :
         {8000U, 11025U, 22050U, 24000U, 32000U, 44099U, 44100U, 48000U, 96000U, 192000U}) {
        // The frequency of a part reaches 1.5 times its share of the top.
        const double top = std::min(6500.0, 0.45 * rate) / 1.5;
        std::vector<double> source(rate);
        for (size_t i = 0; i < rate; ++i)
            source[i] = speech_like(static_cast<double>(i) / rate, top);
        const auto samples = read_all(wav_file(source, rate, 1, {4, true}));
        ASSERT_TRUE(samples) << samples.error().message();
        ASSERT_EQ(samples->size(), 16000U) << rate;
        Samples ideal(16000);
        for (size_t i = 0; i < ideal.size(); ++i) {
            ideal[i] = static_cast<float>(speech_like(static_cast<double>(i) / 16000, top));
        }
        const auto frames = audio::log_mel(*samples);
        const auto expected = audio::log_mel(ideal);
        double sum = 0;
        double largest = 0;
        constexpr size_t kBandsBelow7k = 123;  // edge 123 lies at 6981 Hz
        // The first and the last frames see where the sound breaks off.
        for (size_t frame = 3; frame + 3 < audio::mel_frames(16000); ++frame) {
            for (size_t band = 0; band < kBandsBelow7k; ++band) {
                const size_t i = frame * audio::kMelBands + band;
                const double difference = std::abs(static_cast<double>((*frames)[i]) -
                                                   static_cast<double>((*expected)[i]));
                sum += difference;
                largest = std::max(largest, difference);
            }
        }
        EXPECT_LT(sum / static_cast<double>(93 * kBandsBelow7k), 0.03) << rate;
        EXPECT_LT(largest, 0.13) << rate;
    }
}

TEST(Resampling, lets_nothing_through_from_above_8_khz) {
    constexpr uint32_t kRate = 44100;
    std::vector<double> source(kRate);
    for (size_t i = 0; i < kRate; ++i) {
        source[i] = 0.9 * std::sin(2 * std::numbers::pi * 10000 * static_cast<double>(i) / kRate);
    }
    const auto samples = read_all(wav_file(source, kRate, 1, {4, true}));
    ASSERT_TRUE(samples) << samples.error().message();
    for (size_t i = 1000; i + 1000 < samples->size(); ++i) {
        ASSERT_NEAR((*samples)[i], 0, 1e-5) << i;  // -100 dB
    }
}

}  // namespace
}  // namespace gemlet::audio_test
