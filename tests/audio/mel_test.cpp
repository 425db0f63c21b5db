// Mel frames against the reference's, and that streaming gives the same as all at once.
#include "frontends/audio/mel.h"

#include <gtest/gtest.h>

#include <complex>
#include <random>

#include "core/files/safetensors.h"
#include "frontends/audio/real_fft.h"
#include "frontends/audio/wave_frames.h"
#include "tests/audio/sound_data.h"

namespace gemlet::audio_test {
namespace {

using audio::kMelBands;
using audio::mel_frames;
using audio::MelExtractor;

Samples sine(double hz, double amplitude, size_t n) {
    Samples samples(n);
    for (size_t i = 0; i < n; ++i) {
        const double turns = hz * static_cast<double>(i) / audio::kSoundRate;
        samples[i] = static_cast<float>(amplitude * std::sin(2 * std::numbers::pi * turns));
    }
    return samples;
}

Samples noise(size_t n, uint64_t seed) {
    std::mt19937_64 random(seed);
    Samples samples(n);
    for (float& sample : samples) {
        sample = static_cast<float>(static_cast<double>(random() >> 40U) / (1 << 23) - 1);
    }
    return samples;
}

TEST(RealFft, gives_the_magnitudes_of_the_definition) {
    audio::RealFft fft;
    std::vector<double> magnitudes(audio::kFftBins);
    for (const size_t n : {size_t{0}, size_t{1}, size_t{319}, size_t{320}, size_t{512}}) {
        const Samples samples = noise(n, n);
        fft.magnitudes(samples, magnitudes);
        for (size_t bin = 0; bin < audio::kFftBins; ++bin) {
            std::complex<double> sum;
            for (size_t i = 0; i < n; ++i) {
                const double turns = static_cast<double>(i * bin % audio::kFftSize) / 512;
                sum += static_cast<double>(samples[i]) *
                       std::polar(1.0, -2 * std::numbers::pi * turns);
            }
            // Errors of n terms below 1, each rounded to 53 bits a few times.
            ASSERT_NEAR(magnitudes[bin], std::abs(sum), 512 * 16 * 0x1p-53) << n << " " << bin;
        }
    }
}

TEST(Mel, counts_frames_and_soft_tokens_as_the_reference) {
    EXPECT_EQ(mel_frames(0), 0U);
    EXPECT_EQ(mel_frames(1), 0U);
    EXPECT_EQ(mel_frames(160), 0U);
    EXPECT_EQ(mel_frames(161), 1U);
    EXPECT_EQ(mel_frames(480000), 2999U);
    const std::pair<double, size_t> seconds_and_tokens[] = {
        {0.01, 0}, {0.02, 1},  {0.1, 3},  {0.5, 13},    {1, 25},
        {2, 50},   {7.3, 183}, {10, 250}, {29.99, 750}, {30, 750}};
    for (const auto& [seconds, n_tokens] : seconds_and_tokens) {
        const auto n_samples = static_cast<size_t>(std::lround(seconds * audio::kSoundRate));
        EXPECT_EQ(audio::soft_tokens_of(n_samples), n_tokens) << seconds;
    }
    EXPECT_EQ(audio::soft_tokens_of(audio::kMaxClipSamples), 750U);
}

// audio.md 2.3, six digits behind the point.
TEST(Mel, gives_the_test_vector) {
    const auto frames = audio::log_mel(sine(440, 0.5, 1600));
    ASSERT_TRUE(frames);
    ASSERT_EQ(frames->size(), 9 * kMelBands);
    const auto at = [&](size_t frame, size_t band) {
        return static_cast<double>((*frames)[frame * kMelBands + band]);
    };
    constexpr double kHalfADigit = 0.6e-6;
    EXPECT_NEAR(at(0, 32), 0.871493, kHalfADigit);
    EXPECT_NEAR(at(1, 32), -1.793426, kHalfADigit);
    EXPECT_NEAR(at(5, 31), -2.074291, kHalfADigit);
    EXPECT_NEAR(at(5, 32), -1.796207, kHalfADigit);
    EXPECT_NEAR(at(5, 33), -2.098713, kHalfADigit);
    EXPECT_NEAR(at(8, 127), -6.902662, kHalfADigit);
    double sum = 0;
    double squares = 0;
    for (const float value : *frames) {
        sum += static_cast<double>(value);
        squares += static_cast<double>(value) * static_cast<double>(value);
    }
    const double mean = sum / static_cast<double>(frames->size());
    EXPECT_NEAR(mean, -4.585669, kHalfADigit);
    const double variance = squares / static_cast<double>(frames->size()) - mean * mean;
    // Of the reference program; audio.md has 2.841110.
    EXPECT_NEAR(std::sqrt(variance), 2.841096, kHalfADigit);
}

TEST(Mel, of_silence_is_the_floor_and_never_less) {
    const auto silent = audio::log_mel(Samples(4000));
    for (const float value : *silent) ASSERT_EQ(value, static_cast<float>(std::log(0.001)));
    const auto loud = audio::log_mel(noise(4000, 1));
    for (size_t i = 0; i < loud->size(); ++i) {
        // The first filter lies between the first two bins and sees neither.
        ASSERT_GE((*loud)[i], (*silent)[0]);
        ASSERT_EQ(i % kMelBands == 0, (*loud)[i] == (*silent)[0]);
    }
}

class MelOfFile : public testing::TestWithParam<const char*> {};

TEST_P(MelOfFile, is_that_of_the_reference) {
    const std::string name = GetParam();
    const auto stored = SafetensorsFiles::open_file(path_of("mel.safetensors"));
    ASSERT_TRUE(stored) << stored.error().message();
    const TensorView* expected = stored->tensor(name);
    ASSERT_NE(expected, nullptr);
    const auto reader =
        audio::SoundReader::open(path_of(name + (name == "speech" ? ".flac" : ".wav")));
    if (!reader && reader.error().code() == StatusCode::unsupported) GTEST_SKIP();
    ASSERT_TRUE(reader) << reader.error().message();
    const auto samples = read_all(**reader);
    ASSERT_TRUE(samples) << samples.error().message();
    const auto frames = audio::log_mel(*samples);
    ASSERT_EQ(frames->size() * sizeof(float), expected->bytes.size());
    const auto* values = reinterpret_cast<const float*>(expected->bytes.data());
    for (size_t i = 0; i < frames->size(); ++i) {
        // The fixtures allow 1e-3; float32 has steps of 5e-7 here.
        ASSERT_NEAR((*frames)[i], values[i], 2e-6) << i / kMelBands << " " << i % kMelBands;
    }
}

INSTANTIATE_TEST_SUITE_P(Reference, MelOfFile, testing::Values("half", "three", "speech"),
                         [](const auto& instance) { return std::string(instance.param); });

TEST(Mel, streams_the_same_frames_in_pieces_of_any_size) {
    const Samples samples = noise(16000, 2);
    const auto whole = audio::log_mel(samples);
    auto extractor = MelExtractor::create();
    ASSERT_TRUE(extractor);
    for (const size_t piece : {1, 7, 159, 160, 161, 320, 1000, 16000}) {
        extractor->reset();
        Samples frames;
        Samples buffer((piece / 160 + 1) * kMelBands);
        for (size_t at = 0; at < samples.size(); at += piece) {
            const size_t n = std::min(piece, samples.size() - at);
            const size_t n_expected = extractor->frames_after(n);
            const size_t n_frames = extractor->push(std::span(samples).subspan(at, n), buffer);
            ASSERT_EQ(n_frames, n_expected);
            frames.insert(frames.end(), buffer.begin(),
                          buffer.begin() + static_cast<ptrdiff_t>(n_frames * kMelBands));
            // Nothing is held back.
            ASSERT_EQ(frames.size(), mel_frames(at + n) * kMelBands);
        }
        ASSERT_EQ(frames, *whole) << piece;
    }
}

TEST(WaveFrames, are_blocks_of_640_the_last_filled_up_with_zeros) {
    EXPECT_EQ(audio::wave_frames(0), 0U);
    EXPECT_EQ(audio::wave_frames(1), 1U);
    EXPECT_EQ(audio::wave_frames(640), 1U);
    EXPECT_EQ(audio::wave_frames(641), 2U);
    EXPECT_EQ(audio::wave_frames(31 * 16000), 775U);
    EXPECT_EQ(audio::wave_frames(SIZE_MAX), SIZE_MAX / 640 + 1);
    for (const size_t n : {0, 1, 639, 640, 641, 1280}) {
        const Samples samples = noise(n, n);
        Samples frames(audio::wave_frames(n) * audio::kWaveFrame, 7.0F);
        audio::cut_wave_frames(samples, frames);
        for (size_t i = 0; i < frames.size(); ++i) {
            ASSERT_EQ(frames[i], i < n ? samples[i] : 0.0F) << n << " " << i;
        }
    }
}

}  // namespace
}  // namespace gemlet::audio_test
