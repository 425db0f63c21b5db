// Audio encoders against the reference's stored results: encoder output, soft tokens, and the
// logits of prompts that hold a sound. Every fixture, from GGUF and from Hugging Face files, on
// every instruction set; the same bits whole and in pieces, and for every number of threads and
// instruction set.
#include <gtest/gtest.h>

#include <algorithm>

#include "core/audio/audio_encoder.h"
#include "tests/vision/vision_cases.h"

namespace gemlet::test {
namespace {

constexpr const char* kSounds[] = {"half", "three", "twelve"};
constexpr double kSoftTolerance = 1e-3;
constexpr double kLogitTolerance = 5e-3;
// Relative to the rms. A product of int8 rows of 96 to 128 is off by about 1 %, and ten of them
// follow each other in a layer.
constexpr double kInt8Tolerance = 6e-2;

/// A model with stored results for sounds.
struct SoundModelCase {
    const char* name;
    const char* folder;  // of the results
    const char* model;   // below data/; empty: the copy of nano in this repository
    const char* mmproj;  // the same; empty: the encoder is in the model's own files
};

constexpr SoundModelCase kModels[] = {
    {"e2b_tiny_gguf", "e2b-tiny", "fixtures/e2b-tiny/model-bf16.gguf",
     "fixtures/e2b-tiny/mmproj-bf16.gguf"},
    {"e4b_tiny_gguf", "e4b-tiny", "fixtures/e4b-tiny/model-bf16.gguf",
     "fixtures/e4b-tiny/mmproj-bf16.gguf"},
    {"unified_12b_tiny_gguf", "unified-12b-tiny", "fixtures/unified-12b-tiny/model-bf16.gguf",
     "fixtures/unified-12b-tiny/mmproj-bf16.gguf"},
    {"unified_12b_tiny_hf", "unified-12b-tiny", "fixtures/unified-12b-tiny/hf", ""},
    {"nano_gguf", "nano", "nano/gguf/gemma-4-nano-bf16.gguf",
     "nano/gguf/mmproj-gemma-4-nano-bf16.gguf"},
    {"nano_hf", "nano", "", ""},
};

/// What a stored sound gives.
struct SoundGolden {
    std::vector<float> frames;
    std::vector<float> encoded;  // empty where there is none
    std::vector<float> soft;
    std::vector<int32_t> prompt;
    std::vector<float> logits;  // of the last rows
};

std::unique_ptr<AudioEncoder> open_encoder(Engine& engine, const std::string& mmproj,
                                           const AudioOptions& options = {}) {
    std::string fault;
    auto encoder = AudioEncoder::open(engine, mmproj, options, &fault);
    if (encoder) return std::move(*encoder);
    ADD_FAILURE() << fault << ": " << encoder.error().message();
    return nullptr;
}

/// Frames of a raw sound, the last one filled up with zeros.
std::vector<float> blocks_of(std::vector<float> samples) {
    const size_t n = (samples.size() + kSamplesPerAudioToken - 1) / kSamplesPerAudioToken;
    samples.resize(n * kSamplesPerAudioToken);
    return samples;
}

struct SoundEncoded {
    std::vector<float> soft;
    std::vector<float> encoded;
};

SoundEncoded encode(AudioEncoder& encoder, std::span<const float> frames) {
    SoundEncoded out;
    const AudioConfig& config = encoder.config();
    const size_t n_frames = frames.size() / config.frame_width;
    const size_t n_soft = config.soft_tokens(n_frames);
    out.soft.resize(n_soft * config.text_width);
    out.encoded.resize(n_soft * config.output_width);
    const auto n = encoder.encode(frames, n_frames, out.soft, out.encoded);
    if (n) {
        EXPECT_EQ(*n, n_soft);
    } else {
        ADD_FAILURE() << n.error().message();
    }
    return out;
}

/// Soft tokens of the same frames pushed in pieces whose sizes go round through `sizes`.
std::vector<float> push_all(AudioEncoder& encoder, std::span<const float> frames,
                            std::span<const size_t> sizes) {
    const AudioConfig& config = encoder.config();
    std::vector<float> out;
    size_t at = 0;
    size_t n_left = frames.size() / config.frame_width;
    for (size_t turn = 0; n_left > 0; ++turn) {
        const size_t n = std::min(n_left, sizes[turn % sizes.size()]);
        n_left -= n;
        const bool last = n_left == 0;
        std::vector<float> soft(encoder.pending_tokens(n, last) * config.text_width);
        const auto done = encoder.push(
            frames.subspan(at * config.frame_width, n * config.frame_width), n, last, soft);
        if (!done) {
            ADD_FAILURE() << done.error().message();
            return out;
        }
        EXPECT_EQ(*done * config.text_width, soft.size());
        out.insert(out.end(), soft.begin(), soft.end());
        at += n;
    }
    return out;
}

using Param = std::tuple<SoundModelCase, Isa>;

class SoundGoldenTest : public testing::TestWithParam<Param> {
  protected:
    void SetUp() override {
        if (!has_isa(isa())) GTEST_SKIP() << "this machine has no " << isa_name(isa());
        if (*model().model == 0) {
            path_ = GEMLET_SOURCE_DIR "/examples/data/gemma-4-nano";
        } else {
            path_ = shared_path(std::string("data/") + model().model);
            if (path_.empty()) GTEST_SKIP() << "needs the large reference data";
        }
        if (*model().mmproj != 0) mmproj_ = shared_path(std::string("data/") + model().mmproj);
    }
    const SoundModelCase& model() const { return std::get<0>(GetParam()); }
    Isa isa() const { return std::get<1>(GetParam()); }
    std::unique_ptr<Engine> engine(size_t n_threads, Isa isa) const {
        RunOptions run;
        run.isa = isa;
        run.n_threads = n_threads;
        return open_engine(path_, run);
    }
    std::vector<SoundGolden> goldens(bool raw) const {
        const Goldens own(model().folder, "sounds.safetensors");
        std::vector<SoundGolden> out;
        if (own.has("audio0.mel")) {  // nano
            out.push_back({own.floats("audio0.mel"), own.floats("audio0.tower"),
                           own.floats("audio0.soft"), own.ints("audio0.ids"),
                           own.floats("audio0.logits_last")});
            return out;
        }
        const Goldens inputs(".", "sounds.safetensors");
        for (const std::string key : kSounds) {
            const std::string input = key + (raw ? ".samples" : ".mel");
            if (!inputs.has(input) || !own.has(key + ".projected")) continue;
            std::vector<float> frames = inputs.floats(input);
            if (raw) frames = blocks_of(std::move(frames));
            const std::string encoded = key + ".encoder";
            out.push_back({std::move(frames),
                           own.has(encoded) ? own.floats(encoded) : std::vector<float>(),
                           own.floats(key + ".projected"), own.ints(key + ".prompt"),
                           own.floats(key + ".logits")});
        }
        return out;
    }

    std::string path_;
    std::string mmproj_;
};

TEST_P(SoundGoldenTest, soft_tokens_match_the_reference) {
    const auto engine = this->engine(2, isa());
    ASSERT_NE(engine, nullptr);
    const auto encoder = open_encoder(*engine, mmproj_);
    ASSERT_NE(encoder, nullptr);
    const auto goldens = this->goldens(encoder->config().kind == AudioKind::embedder);
    ASSERT_FALSE(goldens.empty());
    for (const SoundGolden& golden : goldens) {
        SCOPED_TRACE(golden.soft.size() / encoder->config().text_width);
        const SoundEncoded got = encode(*encoder, golden.frames);
        if (!golden.encoded.empty()) {
            EXPECT_LT(relative_rms(got.encoded, golden.encoded), 1e-4);
        }
        const double difference = largest_difference(got.soft, golden.soft);
        EXPECT_LT(difference, kSoftTolerance);
        RecordProperty("soft", std::to_string(difference));
    }
}

TEST_P(SoundGoldenTest, prompts_with_sounds_give_the_reference_logits) {
    if (isa() == Isa::scalar) GTEST_SKIP() << "slow, and soft tokens have the same bits everywhere";
    const auto engine = this->engine(2, isa());
    ASSERT_NE(engine, nullptr);
    const auto encoder = open_encoder(*engine, mmproj_);
    ASSERT_NE(encoder, nullptr);
    const size_t width = encoder->config().text_width;
    for (const SoundGolden& golden : goldens(encoder->config().kind == AudioKind::embedder)) {
        const std::vector<float> soft = encode(*encoder, golden.frames).soft;
        std::vector<PromptRow> rows = prompt_rows(golden.prompt);
        const auto& ids = golden.prompt;
        const int32_t placeholder =
            *std::max_element(ids.begin(), ids.end(), [&ids](int32_t a, int32_t b) {
                return std::count(ids.begin(), ids.end(), a) <
                       std::count(ids.begin(), ids.end(), b);
            });
        size_t next = 0;
        for (PromptRow& row : rows) {
            if (row.token == placeholder) row.soft = soft.data() + next++ * width;
        }
        ASSERT_EQ(next, soft.size() / width);
        const auto session = new_session(*engine);
        ASSERT_NE(session, nullptr);
        std::vector<float> logits;
        const LogitsSink sink{[](void* context, size_t, std::span<const float> row) {
                                  auto& all = *static_cast<std::vector<float>*>(context);
                                  all.insert(all.end(), row.begin(), row.end());
                              },
                              &logits};
        ASSERT_TRUE(session->append_all(rows, sink).ok());
        ASSERT_GE(logits.size(), golden.logits.size());
        EXPECT_LT(largest_difference(std::span(logits).last(golden.logits.size()), golden.logits),
                  kLogitTolerance);
    }
}

TEST_P(SoundGoldenTest, pieces_threads_and_instruction_sets_change_no_bit) {
    std::vector<float> reference;
    for (const Isa isa : {Isa::scalar, this->isa()}) {
        for (const size_t n_threads : {1, 2, 3}) {
            if (isa == Isa::scalar && n_threads != 1) continue;
            SCOPED_TRACE(std::string(isa_name(isa)) + " " + std::to_string(n_threads));
            const auto engine = this->engine(n_threads, isa);
            ASSERT_NE(engine, nullptr);
            const auto encoder = open_encoder(*engine, mmproj_);
            ASSERT_NE(encoder, nullptr);
            auto frames = goldens(encoder->config().kind == AudioKind::embedder).front().frames;
            // More tokens than the attention looks back on, and one that is not whole.
            const size_t n_frames = 14 * encoder->config().frames_per_token() - 1;
            frames.resize(std::min(frames.size(), n_frames * encoder->config().frame_width));
            const std::vector<float> soft = encode(*encoder, frames).soft;
            if (reference.empty()) reference = soft;
            EXPECT_TRUE(same_bits(soft, reference));
            const size_t odd[] = {1, 2, 3, 5, 1, 1, 7, 33, 4};
            EXPECT_TRUE(same_bits(push_all(*encoder, frames, odd), reference));
            const auto small = open_encoder(*engine, mmproj_, {.max_frames = 9});
            ASSERT_NE(small, nullptr);
            const size_t at_once[] = {1000};
            EXPECT_TRUE(same_bits(push_all(*small, frames, at_once), reference));
        }
    }
}

TEST_P(SoundGoldenTest, int8_stays_close_to_float) {
    const auto engine = this->engine(2, isa());
    ASSERT_NE(engine, nullptr);
    const auto encoder = open_encoder(*engine, mmproj_, {.precision = TowerPrecision::int8});
    ASSERT_NE(encoder, nullptr);
    const auto golden = goldens(encoder->config().kind == AudioKind::embedder).front();
    EXPECT_LT(relative_rms(encode(*encoder, golden.frames).soft, golden.soft), kInt8Tolerance);
}

INSTANTIATE_TEST_SUITE_P(all, SoundGoldenTest,
                         testing::Combine(testing::ValuesIn(kModels),
                                          testing::ValuesIn(golden_isas())),
                         [](const auto& param) {
                             return std::string(std::get<0>(param.param).name) + "_" +
                                    isa_name(std::get<1>(param.param));
                         });

/// The QAT mobile checkpoint, which static quantisation makes discontinuous: one code that flips
/// in front of a rounding boundary may move soft tokens by a tenth.
class SoundQatGolden : public testing::TestWithParam<Isa> {
  protected:
    std::vector<float> soft_tokens(Isa isa, size_t n_threads, float loudness) {
        std::vector<float> frames = goldens_.floats("input_features");
        for (float& value : frames) value *= loudness;
        RunOptions run;
        run.isa = isa;
        run.n_threads = n_threads;
        run.in_float = false;
        run.context = 64;
        const auto engine = open_engine(golden_qat_path(), run);
        if (engine == nullptr) return {};
        const auto encoder = open_encoder(*engine, "");
        return encoder != nullptr ? encode(*encoder, frames).soft : std::vector<float>();
    }

    Goldens goldens_{"qat", "sounds.safetensors"};
};

TEST_P(SoundQatGolden, soft_tokens_match_the_reference) {
    if (!has_isa(GetParam())) GTEST_SKIP() << "this machine has no " << isa_name(GetParam());
    const auto reference = goldens_.floats("audio_soft_tokens");
    const double as_stored = largest_difference(soft_tokens(GetParam(), 1, 1.0F), reference);
    const double moved = largest_difference(soft_tokens(GetParam(), 1, 1.0F + 1e-6F), reference);
    EXPECT_LT(as_stored, 0.1);  // what one flipped code may do
    EXPECT_LT(std::min(as_stored, moved), 1e-4);
}

TEST_P(SoundQatGolden, threads_and_instruction_sets_change_no_bit) {
    if (!has_isa(GetParam())) GTEST_SKIP() << "this machine has no " << isa_name(GetParam());
    const std::vector<float> scalar = soft_tokens(Isa::scalar, 1, 1.0F);
    for (const size_t n_threads : {1, 2, 3}) {
        EXPECT_TRUE(same_bits(soft_tokens(GetParam(), n_threads, 1.0F), scalar)) << n_threads;
    }
}

INSTANTIATE_TEST_SUITE_P(all, SoundQatGolden, testing::ValuesIn(golden_isas()),
                         [](const auto& param) { return std::string(isa_name(param.param)); });

}  // namespace
}  // namespace gemlet::test
