// Sound files to soft tokens of the small trained model: what is refused, what the settings beside
// a model may say, the cache. That it understands them is tested on the command line.
#include "frontends/media/sound_encoder.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "frontends/media/message_media.h"
#include "frontends/media/sound_features.h"
#include "tests/core/temp_tree.h"
#include "tests/media/drawn_pictures.h"

namespace gemlet {
namespace {

namespace fs = std::filesystem;

constexpr const char* kModel = GEMLET_SOURCE_DIR "/examples/data/gemma-4-nano";

void put(std::vector<uint8_t>& out, uint32_t value, size_t n_bytes) {
    for (size_t i = 0; i < n_bytes; ++i) {
        out.push_back(static_cast<uint8_t>(value >> (8 * i) & 0xFFU));
    }
}

/// A WAV file of 16 kHz and 16 bits.
std::vector<uint8_t> wav_of(size_t n_samples) {
    const auto n_bytes = static_cast<uint32_t>(2 * n_samples);
    std::vector<uint8_t> out = {'R', 'I', 'F', 'F'};
    put(out, 36 + n_bytes, 4);
    for (const char c : std::string("WAVEfmt ")) out.push_back(static_cast<uint8_t>(c));
    put(out, 16, 4);
    put(out, 1, 2);  // PCM
    put(out, 1, 2);  // channels
    put(out, 16000, 4);
    put(out, 32000, 4);
    put(out, 2, 2);
    put(out, 16, 2);
    for (const char c : std::string("data")) out.push_back(static_cast<uint8_t>(c));
    put(out, n_bytes, 4);
    for (size_t i = 0; i < n_samples; ++i) put(out, static_cast<uint32_t>(i % 997), 2);
    return out;
}

class Sounds : public ::testing::Test {
  protected:
    void SetUp() override {
        EngineOptions options;
        options.n_threads = 1;
        options.context = 64;
        auto engine = Engine::open(kModel, options);
        ASSERT_TRUE(engine.has_value()) << engine.error().message();
        engine_ = std::move(*engine);
        encoder_ = std::make_unique<SoundEncoder>(*engine_, SoundOptions{});
    }

    /// Writes 1.9 s of sound.
    std::string write_sound(const char* name) const {
        const std::vector<uint8_t> bytes = wav_of(30400);
        tree_.write(name, std::string(bytes.begin(), bytes.end()));
        return tree_.path(name);
    }

    std::unique_ptr<Engine> engine_;
    std::unique_ptr<SoundEncoder> encoder_;
    TempTree tree_;
    std::string file_;
};

TEST_F(Sounds, take_from_161_samples_to_30_seconds) {
    for (const auto& [n_samples, n_tokens] :
         {std::pair<size_t, size_t>{161, 1}, {8000, 13}, {kMaxSamples, kMaxAudioTokens}}) {
        const auto soft = encoder_->encode(wav_of(n_samples), file_);
        ASSERT_TRUE(soft.has_value()) << soft.error().message();
        EXPECT_EQ(soft->n, n_tokens);
        EXPECT_EQ(soft->values.size(), n_tokens * engine_->config().d_model);
    }
    const auto refuse = [&](size_t n_samples, const char* part) {
        const auto soft = encoder_->encode(wav_of(n_samples), file_);
        ASSERT_FALSE(soft.has_value()) << n_samples;
        EXPECT_EQ(soft.error().code(), StatusCode::bad_argument);
        EXPECT_NE(soft.error().message().find(part), std::string::npos) << soft.error().message();
    };
    refuse(160, "too short");
    refuse(1, "too short");
    refuse(kMaxSamples + 1, "gemlet transcribe");
    EXPECT_FALSE(encoder_->encode(std::vector<uint8_t>(100, 7), file_).has_value());
    EXPECT_FALSE(encoder_->encode({}, file_).has_value());
}

TEST_F(Sounds, of_the_same_content_are_encoded_once) {
    MediaEncoder media(*engine_, {});
    const std::string sound = write_sound("sound.wav");
    const auto first = media.encode({chat::MediaKind::audio, sound}, file_);
    const auto second = media.encode({chat::MediaKind::audio, write_sound("copy.wav")}, file_);
    ASSERT_TRUE(first.has_value() && second.has_value()) << first.error().message();
    EXPECT_EQ(first->get(), second->get());
    EXPECT_EQ((*first)->n, 48U);
    EXPECT_NE((*first)->mark, 0U);
    const auto missing = media.encode({chat::MediaKind::audio, "/nowhere.wav"}, file_);
    ASSERT_FALSE(missing.has_value());
    EXPECT_EQ(file_, "/nowhere.wav");
    // The same file as a picture is another question.
    EXPECT_FALSE(media.encode({chat::MediaKind::image, sound}, file_).has_value());
}

TEST_F(Sounds, keep_the_memory_limit_together_with_pictures) {
    PictureEncoder picture(*engine_, {});
    ASSERT_TRUE(picture.encoder(file_).has_value());
    ASSERT_TRUE(encoder_->encoder(file_).has_value());
    const uint64_t model = engine_->memory().resident_bytes;
    const uint64_t vision = picture.resident_bytes();
    const uint64_t audio = encoder_->resident_bytes();
    EngineOptions options = engine_->options();
    options.memory_limit_bytes = model + std::max(vision, audio) + 4096;
    const auto engine = Engine::open(kModel, options);
    ASSERT_TRUE(engine.has_value()) << engine.error().message();
    MediaEncoder media(**engine, {});
    const std::string sound = write_sound("sound.wav");
    EXPECT_TRUE(media.encode({chat::MediaKind::audio, sound}, file_).has_value());
    tree_.write("circle.ppm", draw_circle());
    const auto refused = media.encode({chat::MediaKind::image, tree_.path("circle.ppm")}, file_);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code(), StatusCode::out_of_memory);
}

TEST(SoundFeatures, of_another_make_are_refused) {
    const fs::path folder =
        fs::temp_directory_path() / ("gemlet-features-" + std::to_string(::getpid()));
    fs::create_directories(folder);
    std::string file;
    const auto check = [&](const char* name, const std::string& text, AudioKind kind) {
        std::ofstream(folder / name) << text;
        const Status status = check_sound_features(folder.string(), kind, file);
        fs::remove(folder / name);
        return status;
    };
    const auto conformer = AudioKind::conformer;
    const char* old = "preprocessor_config.json";
    EXPECT_TRUE(check_sound_features(kModel, conformer, file).ok());
    EXPECT_TRUE(check_sound_features("/nowhere/model.gguf", conformer, file).ok());
    EXPECT_TRUE(check(old, "{}", conformer).ok());
    EXPECT_TRUE(check(old, R"({"dither":0.0,"per_bin_mean":null})", conformer).ok());
    EXPECT_TRUE(check(old, R"({"feature_size":640})", AudioKind::embedder).ok());
    for (const char* other :
         {R"({"dither":0.1})", R"({"preemphasis":0.97})", R"({"fft_overdrive":true})",
          R"({"per_bin_mean":[1]})", R"({"input_scale_factor":2})", R"({"feature_size":80})",
          R"({"sampling_rate":8000})", R"({"hop_length":"160"})"}) {
        const Status status = check(old, other, conformer);
        EXPECT_EQ(status.code(), StatusCode::unsupported) << other;
        EXPECT_EQ(file, (folder / old).string());
    }
    EXPECT_EQ(
        check("processor_config.json", R"({"feature_extractor":{"dither":1}})", conformer).code(),
        StatusCode::unsupported);
    EXPECT_FALSE(check("processor_config.json", R"({"feature_extractor":7})", conformer).ok());
    EXPECT_FALSE(check("processor_config.json", "{", conformer).ok());
    fs::remove_all(folder);
}

}  // namespace
}  // namespace gemlet
