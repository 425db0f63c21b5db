// Recordings through the small trained model, which really listens: texts, times, journal, drafts.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <utility>

#include "core/json.h"
#include "frontends/transcribe/live.h"
#include "frontends/transcribe/transcriber.h"
#include "frontends/transcribe/words.h"
#include "frontends/transcribe/writers.h"
#include "tests/core/temp_tree.h"

namespace gemlet {
namespace {

constexpr const char* kModel = GEMLET_SOURCE_DIR "/examples/data/gemma-4-nano";
constexpr const char* kSound = GEMLET_TEST_DATA "/transcribe/three_sentences.flac";

struct Sentence {
    double start;
    double end;
    const char* text;
};

// The beginning of the recording that the model was made with.
constexpr std::array<Sentence, 3> kSentences = {{
    {0.5, 2.3, "Anna has the yellow boat."},
    {4.5, 6.161, "Maria buys the blue car."},
    {8.548, 10.082, "Maria wants the black flower."},
}};

class Recordings : public ::testing::Test {
  protected:
    static constexpr size_t kParallel = 2;

    void SetUp() override {
        EngineOptions options;
        options.n_threads = 2;
        options.context = decoder_context(10, {});
        options.parallel = kParallel;
        std::string file;
        auto model = open_chat_model(kModel, options, file);
        ASSERT_TRUE(model.has_value()) << model.error().message();
        model_ = std::make_unique<ChatModel>(std::move(*model));
        decoder_ = decoder(kParallel);
        request_.task.language = "English";
        request_.segments = {10, 0.5, 1};
    }

    std::unique_ptr<PieceDecoder> decoder(size_t parallel) {
        DecoderOptions options;
        options.parallel = parallel;
        std::string file;
        auto made = PieceDecoder::create(*model_, options, file);
        EXPECT_TRUE(made.has_value()) << made.error().message();
        return std::move(*made);
    }

    /// Null where this build reads no FLAC.
    static std::unique_ptr<audio::SoundReader> sound() {
        auto opened = audio::SoundReader::open(kSound);
        EXPECT_TRUE(opened || opened.error().code() == StatusCode::unsupported);
        return opened ? std::move(*opened) : nullptr;
    }

    std::unique_ptr<ChatModel> model_;
    std::unique_ptr<PieceDecoder> decoder_;
    TranscribeRequest request_;
};

TEST_F(Recordings, are_written_down_with_the_times_of_their_sentences) {
    const auto reader = sound();
    if (reader == nullptr) GTEST_SKIP() << "no FLAC in this build";
    std::vector<std::string> shown;
    double progress = 0;
    request_.on_segment = [&](const TranscriptSegment& segment) { shown.push_back(segment.text); };
    request_.on_progress = [&](double seconds) {
        EXPECT_GE(seconds, progress);
        progress = seconds;
    };
    const auto transcript = transcribe(*reader, *decoder_, request_);
    ASSERT_TRUE(transcript.has_value()) << transcript.error().message();
    EXPECT_NEAR(transcript->duration, 11.5, 0.01);
    EXPECT_GT(progress, 10);
    ASSERT_EQ(transcript->segments.size(), kSentences.size());
    ASSERT_EQ(shown.size(), kSentences.size());
    for (size_t i = 0; i < kSentences.size(); ++i) {
        const TranscriptSegment& segment = transcript->segments[i];
        EXPECT_EQ(segment.text, kSentences[i].text);
        EXPECT_EQ(shown[i], segment.text);
        EXPECT_NEAR(segment.start, kSentences[i].start, 0.3);
        EXPECT_NEAR(segment.end, kSentences[i].end, 0.3);
        EXPECT_FALSE(segment.estimated);
        EXPECT_GT(segment.avg_logprob, -0.5F);
        EXPECT_LE(segment.avg_logprob, 0.0F);
        EXPECT_LT(segment.no_speech_prob, 0.1F);
        EXPECT_FALSE(segment.tokens.empty());
    }
    // One piece after the other gives the same.
    request_.on_progress = {};
    request_.on_segment = {};
    const auto alone = decoder(1);
    const auto again = transcribe(*sound(), *alone, request_);
    ASSERT_TRUE(again.has_value());
    EXPECT_EQ(transcript_text(*again), transcript_text(*transcript));
}

TEST_F(Recordings, go_on_from_a_journal) {
    if (sound() == nullptr) GTEST_SKIP() << "no FLAC in this build";
    const TempTree tree;
    const auto key = journal_key(kSound, settings_line(request_, kModel));
    ASSERT_TRUE(key.has_value());
    // Stopped when the first piece is done.
    std::atomic<bool> cancel = false;
    auto journal = Journal::open(tree.path("j"), *key, false);
    ASSERT_TRUE(journal.has_value());
    request_.journal = journal->get();
    request_.cancel = &cancel;
    size_t n_shown = 0;
    request_.on_segment = [&](const TranscriptSegment&) {
        if (++n_shown == 1) cancel = true;
    };
    EXPECT_EQ(transcribe(*sound(), *decoder_, request_).error().code(), StatusCode::cancelled);

    journal->reset();
    journal = Journal::open(tree.path("j"), *key, true);
    ASSERT_TRUE(journal.has_value());
    const size_t n_known = (*journal)->n_known();
    EXPECT_GE(n_known, 1U);
    EXPECT_LT(n_known, kSentences.size());
    cancel = false;
    request_.journal = journal->get();
    request_.on_segment = {};
    const size_t n_before = decoder_->counts().pieces;
    const auto transcript = transcribe(*sound(), *decoder_, request_);
    ASSERT_TRUE(transcript.has_value());
    EXPECT_EQ(decoder_->counts().pieces - n_before, kSentences.size() - n_known);
    ASSERT_EQ(transcript->segments.size(), kSentences.size());
    for (size_t i = 0; i < kSentences.size(); ++i) {
        EXPECT_EQ(transcript->segments[i].text, kSentences[i].text);
    }
}

TEST_F(Recordings, are_translated_with_the_source_kept) {
    const auto reader = sound();
    if (reader == nullptr) GTEST_SKIP() << "no FLAC in this build";
    request_.task.target = "French";
    size_t n = 0;
    std::atomic<bool> cancel = false;
    request_.cancel = &cancel;
    request_.on_segment = [&](const TranscriptSegment& segment) {
        if (n++ == 0) {
            EXPECT_EQ(segment.text, kSentences[0].text);
            EXPECT_NE(segment.translation, "");
            EXPECT_EQ(segment.translation.find("French"), std::string::npos);
        }
        cancel = true;  // the first one is enough
    };
    EXPECT_EQ(transcribe(*reader, *decoder_, request_).error().code(), StatusCode::cancelled);
}

/// The first sentence as raw samples, through a pipe.
TEST_F(Recordings, are_drafted_while_somebody_speaks) {
    const auto reader = sound();
    if (reader == nullptr) GTEST_SKIP() << "no FLAC in this build";
    const TempTree tree;
    std::vector<float> samples(4 * kSpeechRateHz);
    ASSERT_EQ(*reader->read(samples), samples.size());
    std::string bytes;
    for (const float value : samples) {
        const auto pcm = static_cast<int16_t>(value * 32767.0F);
        bytes += static_cast<char>(pcm & 0xFF);
        bytes += static_cast<char>(pcm >> 8);
    }
    tree.write("raw", bytes);
    std::FILE* file = std::fopen(tree.path("raw").c_str(), "rbe");
    ASSERT_NE(file, nullptr);
    auto raw = audio::SoundReader::raw_pcm16(fileno(file), 16000);
    ASSERT_TRUE(raw.has_value());
    std::vector<std::string> drafts;
    std::vector<TranscriptSegment> finals;
    LiveRequest request;
    request.task = request_.task;
    request.segments = request_.segments;
    request.on_text = [&](const TranscriptSegment& segment, bool draft) {
        if (draft) {
            EXPECT_TRUE(finals.empty());
            drafts.push_back(segment.text);
        } else {
            finals.push_back(segment);
        }
        return true;
    };
    const Status status = transcribe_live(**raw, *decoder_, request);
    std::fclose(file);
    ASSERT_TRUE(status.ok()) << status.message();
    EXPECT_GE(drafts.size(), 3U);
    ASSERT_EQ(finals.size(), 1U);
    EXPECT_EQ(finals[0].text, kSentences[0].text);
    EXPECT_NEAR(finals[0].end, kSentences[0].end, 0.3);
}

/// A source of pieces without speech in them: whatever the model makes of them, it ends.
TEST_F(Recordings, end_whatever_the_sound_is) {
    Piece piece;
    piece.range = {0, 5 * kSpeechRateHz};
    piece.speech = piece.range;
    piece.voiced = {piece.range};
    piece.samples.assign(piece.range.size(), 0.0F);
    for (size_t i = 0; i < piece.samples.size(); ++i) {
        piece.samples[i] = i % 97 < 48 ? 0.9F : -0.9F;
    }
    size_t n_given = 0;
    size_t n_taken = 0;
    DecodeRequest request;
    request.task = request_.task;
    request.source = [&]() -> Result<std::optional<Piece>> {
        if (n_given == 2) return std::optional<Piece>();
        piece.index = n_given++;
        return std::optional<Piece>(piece);
    };
    request.sink = [&](PieceResult result) -> Status {
        ++n_taken;
        EXPECT_FALSE(result.parts.empty());
        EXPECT_EQ(result.parts.front().range.begin, 0U);
        EXPECT_EQ(result.parts.back().range.end, piece.range.end);
        return {};
    };
    const Status status = decoder_->run(request);
    EXPECT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(n_taken, 2U);
}

std::vector<std::string> words_of(const std::string& text) {
    std::vector<std::string> words(1);
    for (const char c : text) {
        if (c == ' ') {
            words.emplace_back();
        } else if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
            words.back() += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        }
    }
    return words;
}

/// Words to change, add or take away (Levenshtein).
size_t edits(const std::vector<std::string>& from, const std::vector<std::string>& to) {
    std::vector<size_t> row(to.size() + 1);
    for (size_t j = 0; j < row.size(); ++j) row[j] = j;
    for (size_t i = 0; i < from.size(); ++i) {
        size_t diagonal = std::exchange(row[0], i + 1);
        for (size_t j = 0; j < to.size(); ++j) {
            const size_t changed = diagonal + (from[i] == to[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = std::min({row[j] + 1, row[j + 1] + 1, changed});
        }
    }
    return row.back();
}

TEST(LongRecording, has_few_wrong_words_and_right_times) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "takes long under a sanitizer; the short recording runs there";
#endif
    const std::string folder = std::string(GEMLET_SHARED_DATA) + "/data/nano/eval/speech/";
    if (!std::filesystem::exists(folder + "long.json")) GTEST_SKIP() << "no reference data";
    EngineOptions options;
    options.context = decoder_context(30, {});
    options.parallel = 4;
    std::string file;
    const auto model = open_chat_model(kModel, options, file);
    ASSERT_TRUE(model.has_value());
    DecoderOptions decoding;
    decoding.parallel = 4;
    const auto decoder = PieceDecoder::create(*model, decoding, file);
    ASSERT_TRUE(decoder.has_value());
    const auto sound = audio::SoundReader::open(folder + "long.flac");
    if (!sound) GTEST_SKIP() << sound.error().message();
    TranscribeRequest request;
    request.task.language = "English";
    const auto transcript = transcribe(**sound, **decoder, request);
    ASSERT_TRUE(transcript.has_value());

    std::ifstream stream(folder + "long.json");
    const std::string text(std::istreambuf_iterator<char>(stream), {});
    const auto truth = parse_json(text);
    ASSERT_TRUE(truth.has_value());
    const std::vector<Json>& sentences = truth->find("sentences")->items;
    ASSERT_EQ(transcript->segments.size(), sentences.size());
    std::string spoken;
    for (size_t i = 0; i < sentences.size(); ++i) {
        EXPECT_NEAR(transcript->segments[i].start, sentences[i].find("start")->number, 0.3);
        EXPECT_NEAR(transcript->segments[i].end, sentences[i].find("end")->number, 0.3);
        append_text(spoken, sentences[i].find("text")->text);
    }
    const std::vector<std::string> right = words_of(spoken);
    const size_t n_edits = edits(right, words_of(transcript_text(*transcript)));
    // Cut by hand the sentences have 3.66 % wrong words; one point more is allowed.
    EXPECT_LE(static_cast<double>(n_edits), 0.0466 * static_cast<double>(right.size()));
}

}  // namespace
}  // namespace gemlet
