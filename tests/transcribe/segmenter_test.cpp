// The pause detector and the segmenter on made-up speech: buzzes with moving formants, at known
// times, under noise and at several gains.
#include "frontends/transcribe/segmenter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <random>

namespace gemlet {
namespace {

struct Utterance {
    double start = 0;
    double end = 0;
};

constexpr size_t kSyllable = kSpeechRateHz / 5;  // samples

/// Harmonics of 120 Hz under two formants, loud for 0.15 s and weak for 0.05 s.
std::vector<float> make_syllable(size_t kind) {
    const double first = 400.0 + 150.0 * static_cast<double>(kind % 3);
    const double second = 1200.0 + 400.0 * static_cast<double>(kind % 4);
    std::vector<float> syllable(kSyllable);
    for (size_t i = 0; i < kSyllable; ++i) {
        const double turns = 120.0 * static_cast<double>(i) / kSpeechRateHz;
        double value = 0;
        for (size_t h = 1; h <= 40; ++h) {
            const double hz = 120.0 * static_cast<double>(h);
            const double gain = std::exp(-std::abs(hz - first) / 200) +
                                0.5 * std::exp(-std::abs(hz - second) / 300);
            value += gain * std::sin(2 * std::numbers::pi * turns * static_cast<double>(h));
        }
        syllable[i] = static_cast<float>(value * (i < kSyllable * 3 / 4 ? 0.05 : 0.005));
    }
    return syllable;
}

void add_speech(std::vector<float>& sound, const Utterance& when) {
    static const std::vector<std::vector<float>> syllables = [] {
        std::vector<std::vector<float>> made;
        for (size_t kind = 0; kind < 12; ++kind) made.push_back(make_syllable(kind));
        return made;
    }();
    const auto begin = static_cast<size_t>(when.start * kSpeechRateHz);
    const auto end = static_cast<size_t>(when.end * kSpeechRateHz);
    for (size_t i = begin; i < std::min(end, sound.size()); ++i) {
        sound[i] += syllables[(i - begin) / kSyllable % 12][(i - begin) % kSyllable];
    }
}

std::vector<float> make_sound(double seconds, const std::vector<Utterance>& utterances,
                              double noise_level, double gain = 1) {
    std::mt19937 random(7);
    std::normal_distribution<float> noise;
    std::vector<float> sound(static_cast<size_t>(seconds * kSpeechRateHz));
    for (float& value : sound) value = noise(random) * static_cast<float>(noise_level);
    for (const Utterance& utterance : utterances) add_speech(sound, utterance);
    for (float& value : sound) {
        // As a 16-bit file would have it.
        value = std::round(value * static_cast<float>(gain) * 32768.0F) / 32768.0F;
    }
    return sound;
}

std::vector<VoiceFrame> detect(std::span<const float> sound, size_t block = 1000) {
    VoiceDetector detector;
    std::vector<VoiceFrame> frames;
    for (; !sound.empty(); sound = sound.subspan(std::min(block, sound.size()))) {
        detector.push(sound.first(std::min(block, sound.size())), frames);
    }
    detector.finish(frames);
    return frames;
}

std::vector<Piece> cut(std::span<const float> sound, const SegmenterOptions& options = {},
                       size_t block = 4000) {
    Segmenter segmenter(options);
    std::vector<Piece> pieces;
    for (; !sound.empty(); sound = sound.subspan(std::min(block, sound.size()))) {
        segmenter.push(sound.first(std::min(block, sound.size())), pieces);
    }
    segmenter.finish(pieces);
    return pieces;
}

const std::vector<Utterance> kThree = {{0.5, 2.1}, {3.0, 5.4}, {6.3, 7.1}};

TEST(VoiceDetector, gives_one_frame_for_every_ten_milliseconds) {
    for (const size_t n : {0U, 1U, 159U, 160U, 161U, 511U, 512U, 16000U, 20001U}) {
        EXPECT_EQ(detect(std::vector<float>(n, 0.0F)).size(), (n + 159) / 160) << n;
    }
}

TEST(VoiceDetector, does_not_depend_on_how_sound_is_cut) {
    const std::vector<float> sound = make_sound(8, kThree, 0.002);
    const std::vector<VoiceFrame> whole = detect(sound, sound.size());
    for (const size_t block : {1U, 160U, 777U}) {
        const std::vector<VoiceFrame> parts = detect(sound, block);
        ASSERT_EQ(parts.size(), whole.size());
        for (size_t i = 0; i < whole.size(); ++i) {
            ASSERT_EQ(parts[i].voiced, whole[i].voiced) << block << " " << i;
            ASSERT_EQ(parts[i].strength_db, whole[i].strength_db) << block << " " << i;
        }
    }
}

TEST(VoiceDetector, hears_nothing_in_silence_and_steady_noise) {
    for (const double level : {0.0, 1e-4, 0.01, 0.2}) {
        const std::vector<VoiceFrame> frames = detect(make_sound(20, {}, level));
        EXPECT_FALSE(std::any_of(frames.begin(), frames.end(), [](const VoiceFrame& frame) {
            return frame.voiced;
        })) << level;
    }
}

TEST(VoiceDetector, finds_speech_at_any_gain_and_noise_ten_decibels_below) {
    // The buzz has a root mean square of about 0.09 while it sounds.
    for (const double gain : {0.01, 0.1, 1.0, 3.0}) {
        for (const double noise : {0.0, 0.001, 0.01, 0.03}) {
            const std::vector<Piece> pieces = cut(make_sound(8, kThree, noise, gain));
            ASSERT_EQ(pieces.size(), 3U) << gain << " " << noise;
            for (size_t i = 0; i < 3; ++i) {
                EXPECT_NEAR(pieces[i].begin_seconds(), kThree[i].start, 0.15)
                    << gain << " " << noise;
                EXPECT_NEAR(pieces[i].end_seconds(), kThree[i].end, 0.15) << gain << " " << noise;
            }
        }
    }
}

TEST(VoiceDetector, hears_a_recording_that_begins_and_ends_with_speech) {
    const std::vector<Piece> pieces = cut(make_sound(3, {{0, 3}}, 0.001));
    ASSERT_EQ(pieces.size(), 1U);
    EXPECT_LT(pieces[0].begin_seconds(), 0.1);
    EXPECT_GT(pieces[0].end_seconds(), 2.85);
    EXPECT_EQ(pieces[0].range.end, 3 * kSpeechRateHz);
}

TEST(Segmenter, refuses_options_out_of_range) {
    EXPECT_TRUE(check_segmenter_options({}).ok());
    EXPECT_FALSE(check_segmenter_options({4.9, 0.5, 1}).ok());
    EXPECT_FALSE(check_segmenter_options({30.1, 0.5, 1}).ok());
    EXPECT_FALSE(check_segmenter_options({std::nan(""), 0.5, 1}).ok());
    EXPECT_FALSE(check_segmenter_options({30, 0.1, 1}).ok());
    EXPECT_FALSE(check_segmenter_options({5, 0.5, 2}).ok());
}

TEST(Segmenter, gives_nothing_for_silence) {
    EXPECT_TRUE(cut({}).empty());
    EXPECT_TRUE(cut(make_sound(40, {}, 0.001)).empty());
}

TEST(Segmenter, takes_silence_as_well_when_told_not_to_look_for_pauses) {
    SegmenterOptions options;
    options.max_seconds = 20;
    options.find_pauses = false;
    const std::vector<float> sound = make_sound(65, kThree, 0.001);
    const std::vector<Piece> pieces = cut(sound, options);
    ASSERT_GE(pieces.size(), 4U);
    EXPECT_EQ(pieces.front().range.begin, 0U);
    EXPECT_EQ(pieces.back().range.end, sound.size());
    for (size_t i = 0; i < pieces.size(); ++i) {
        EXPECT_LE(pieces[i].range.size(), size_t{20} * kSpeechRateHz);
        if (i > 0) {
            EXPECT_LE(pieces[i].range.begin, pieces[i - 1].range.end);
        }
    }
}

/// What must hold for the pieces of any sound.
void check_pieces(const std::vector<float>& sound, const SegmenterOptions& options, size_t block) {
    const std::vector<VoiceFrame> frames = detect(sound);
    const std::vector<Piece> pieces = cut(sound, options, block);
    std::vector<size_t> covered(frames.size());
    for (size_t i = 0; i < pieces.size(); ++i) {
        const Piece& piece = pieces[i];
        EXPECT_EQ(piece.index, i);
        ASSERT_LE(piece.range.end, sound.size());
        EXPECT_LE(piece.range.size(), static_cast<size_t>(options.max_seconds * kSpeechRateHz));
        ASSERT_EQ(piece.samples.size(), piece.range.size());
        EXPECT_TRUE(std::equal(piece.samples.begin(), piece.samples.end(),
                               sound.begin() + static_cast<ptrdiff_t>(piece.range.begin)));
        EXPECT_GE(piece.speech.begin, piece.range.begin);
        EXPECT_LE(piece.speech.end, piece.range.end);
        EXPECT_FALSE(piece.voiced.empty());
        for (const SampleRange& run : piece.voiced) {
            for (size_t at = run.begin; at < run.end; at += kVoiceFrameSamples) {
                ++covered[at / kVoiceFrameSamples];
            }
        }
        if (i == 0) continue;
        EXPECT_EQ(piece.forced_begin, pieces[i - 1].forced_end);
        const bool overlaps = piece.range.begin < pieces[i - 1].range.end;
        EXPECT_EQ(overlaps, piece.forced_begin) << i;
    }
    for (size_t i = 0; i < frames.size(); ++i) {
        EXPECT_EQ(covered[i] > 0, frames[i].voiced) << i << " of " << frames.size();
    }
}

TEST(Segmenter, covers_all_speech_with_pieces_that_overlap_at_forced_cuts_only) {
    std::mt19937 random(11);
    const auto uniform = [&](double least, double most) {
        return std::uniform_real_distribution<double>(least, most)(random);
    };
    for (size_t round = 0; round < 8; ++round) {
        std::vector<Utterance> utterances;
        double at = uniform(0, 2);
        while (at < 45) {
            const double length = round % 3 == 0 ? uniform(8, 40) : uniform(0.1, 6);
            utterances.push_back({at, std::min(at + length, 45.0)});
            at += length + uniform(0.05, 1.2);
        }
        SCOPED_TRACE(round);
        const SegmenterOptions options = {uniform(5, 30), uniform(0.2, 2), uniform(0, 1.2)};
        check_pieces(make_sound(45, utterances, 0.001), options, 300 + 1000 * round);
    }
}

TEST(Segmenter, cuts_unbroken_speech_by_force_with_the_overlap_asked_for) {
    const std::vector<Piece> pieces = cut(make_sound(25, {{0, 25}}, 0.001), {10, 0.5, 1.0});
    ASSERT_GE(pieces.size(), 3U);
    for (size_t i = 1; i < pieces.size(); ++i) {
        EXPECT_TRUE(pieces[i].forced_begin);
        EXPECT_EQ(pieces[i - 1].range.end - pieces[i].range.begin, kSpeechRateHz);
    }
}

TEST(Segmenter, prefers_a_short_pause_to_a_cut_in_speech) {
    const std::vector<Piece> pieces =
        cut(make_sound(14, {{0.2, 7.0}, {7.25, 13.5}}, 0.001), {10, 0.5, 1.0});
    ASSERT_EQ(pieces.size(), 2U);
    EXPECT_FALSE(pieces[0].forced_end);
    EXPECT_NEAR(pieces[0].end_seconds(), 7.0, 0.15);
    EXPECT_NEAR(pieces[1].begin_seconds(), 7.25, 0.15);
}

TEST(Segmenter, shows_the_open_piece_as_a_draft) {
    const std::vector<float> sound = make_sound(4, {{0.5, 4}}, 0.001);
    Segmenter segmenter({});
    std::vector<Piece> pieces;
    segmenter.push(std::span(sound).first(4000), pieces);
    EXPECT_FALSE(segmenter.open());
    segmenter.push(std::span(sound).subspan(4000, 36000), pieces);
    ASSERT_TRUE(segmenter.open());
    const Piece draft = segmenter.draft();
    EXPECT_EQ(draft.range.end, 40000U);  // with sound that is not decided yet
    EXPECT_NEAR(draft.begin_seconds(), 0.5, 0.1);
    EXPECT_TRUE(pieces.empty());
}

TEST(SplitPiece, halves_at_the_best_pause_or_by_force) {
    const std::vector<Piece> paused =
        cut(make_sound(9, {{0.5, 4.0}, {4.3, 8.0}}, 0.001), {30, 1.0, 1.0});
    ASSERT_EQ(paused.size(), 1U);
    const std::vector<Piece> halves = split_piece(paused[0]);
    ASSERT_EQ(halves.size(), 2U);
    EXPECT_EQ(halves[0].range.begin, paused[0].range.begin);
    EXPECT_EQ(halves[0].range.end, halves[1].range.begin);
    EXPECT_EQ(halves[1].range.end, paused[0].range.end);
    EXPECT_FALSE(halves[0].forced_end);
    EXPECT_NEAR(halves[0].end_seconds(), 4.0, 0.15);
    EXPECT_EQ(halves[1].samples.size(), halves[1].range.size());

    const std::vector<Piece> unbroken = cut(make_sound(7, {{0.5, 6.5}}, 0.001));
    ASSERT_EQ(unbroken.size(), 1U);
    const std::vector<Piece> forced = split_piece(unbroken[0]);
    ASSERT_EQ(forced.size(), 2U);
    EXPECT_TRUE(forced[0].forced_end);
    EXPECT_TRUE(forced[1].forced_begin);
    EXPECT_LT(forced[1].range.begin, forced[0].range.end);

    EXPECT_TRUE(split_piece(cut(make_sound(2, {{0.5, 1.2}}, 0.001)).at(0)).empty());
}

}  // namespace
}  // namespace gemlet
