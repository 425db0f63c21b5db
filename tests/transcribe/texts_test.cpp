// Everything about texts: languages, prompts, loops, seams, sentences, files and the journal.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "frontends/transcribe/journal.h"
#include "frontends/transcribe/languages.h"
#include "frontends/transcribe/loop_guard.h"
#include "frontends/transcribe/piece_text.h"
#include "frontends/transcribe/speech_prompt.h"
#include "frontends/transcribe/words.h"
#include "frontends/transcribe/writers.h"
#include "tests/core/temp_tree.h"

namespace gemlet {
namespace {

TEST(Languages, are_known_by_code_and_name) {
    for (const char* given : {"de", "DE", "German", "german", "de-AT", "de_CH"}) {
        const auto name = language_name(given);
        ASSERT_TRUE(name.has_value()) << given;
        EXPECT_EQ(*name, "German");
    }
    EXPECT_EQ(*language_name("zh"), "Chinese");
    EXPECT_EQ(*language_name("scottish gaelic"), "Scottish Gaelic");
    for (const char* given : {"", "xx", "Klingon", "d", "de-", "-", "German."}) {
        const auto name = language_name(given);
        ASSERT_FALSE(name.has_value()) << given;
        EXPECT_EQ(name.error().code(), StatusCode::bad_argument);
    }
}

TEST(SpeechPrompt, names_languages_and_rules) {
    const std::string known = speech_instruction({"German", "", ""});
    EXPECT_TRUE(
        known.starts_with("Transcribe the following speech segment in German into German text.\n"));
    EXPECT_TRUE(known.ends_with("and write 3 instead of three."));
    EXPECT_TRUE(speech_instruction({"", "", ""})
                    .starts_with("Transcribe the following speech segment in its original "
                                 "language.\n"));
    EXPECT_EQ(speech_instruction({"English", "French", ""}),
              "Transcribe the following speech segment in English, then translate it into French.\n"
              "When formatting the answer, first output the transcription in English, then one "
              "newline, then output the string 'French: ', then the translation in French.");
    EXPECT_NE(speech_instruction({"English", "", "Gemlet,\nConformer"}).find("Gemlet, Conformer"),
              std::string::npos);
}

TEST(SpeechPrompt, splits_answers_at_the_last_mark) {
    const SpeechTask task = {"English", "French", ""};
    const SpeechAnswer plain = read_speech_answer("Hello there.\nFrench: Bonjour.\n", task);
    EXPECT_EQ(plain.text, "Hello there.");
    EXPECT_EQ(plain.translation, "Bonjour.");
    const SpeechAnswer twice = read_speech_answer("a\nFrench: b\nFrench: c", task);
    EXPECT_EQ(twice.text, "a French: b");
    EXPECT_EQ(twice.translation, "c");
    EXPECT_EQ(read_speech_answer("Bonjour.", task).translation, "Bonjour.");
    EXPECT_EQ(read_speech_answer("French: Bonjour.", task).translation, "Bonjour.");
    EXPECT_EQ(read_speech_answer(" two\n lines ", {"English", "", ""}).text, "two lines");
}

std::vector<int32_t> repeated(std::vector<int32_t> unit, size_t times) {
    std::vector<int32_t> tokens = {100, 101, 102};
    for (size_t i = 0; i < times; ++i) tokens.insert(tokens.end(), unit.begin(), unit.end());
    return tokens;
}

TEST(LoopGuard, tells_loops_from_repetition_that_people_speak) {
    EXPECT_EQ(loop_period({}), 0U);
    EXPECT_EQ(loop_period(repeated({7}, 20)), 0U);  // a long number of one digit
    EXPECT_EQ(loop_period(repeated({7}, 24)), 1U);
    EXPECT_EQ(loop_period(repeated({7, 8}, 11)), 0U);
    EXPECT_EQ(loop_period(repeated({7, 8}, 12)), 2U);
    const std::vector<int32_t> sentence = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    EXPECT_EQ(loop_period(repeated(sentence, 3)), 0U);
    EXPECT_EQ(loop_period(repeated(sentence, 4)), 9U);
    std::vector<int32_t> ended = repeated(sentence, 4);
    ended.push_back(50);
    EXPECT_EQ(loop_period(ended), 0U);
}

TEST(LoopGuard, keeps_what_is_repeated_once) {
    EXPECT_EQ(without_loop(repeated({1, 2, 3, 4, 5, 6, 7, 8}, 5)), 3U + 8U);
    const std::vector<int32_t> none = {1, 2, 3};
    EXPECT_EQ(without_loop(none), 3U);
}

TEST(LoopGuard, compresses_repetition_only) {
    EXPECT_EQ(compression_ratio(""), 0.0F);
    EXPECT_LT(compression_ratio("The quick brown fox jumps over the lazy dog near the old mill."),
              1.5F);
    std::string loop;
    for (size_t i = 0; i < 20; ++i) loop += "and so on and so on. ";
    EXPECT_GT(compression_ratio(loop), 4.0F);
}

std::string joined(std::string first, std::string second) {
    const Seam seam = find_seam(first, second);
    first.resize(seam.keep_bytes);
    second.erase(0, seam.skip_bytes);
    append_text(first, second);
    return first;
}

TEST(Seam, keeps_words_that_both_pieces_heard_once) {
    EXPECT_EQ(joined("we went to the old house", "the old house by the sea"),
              "we went to the old house by the sea");
    // Case, punctuation, a changed letter in a long word.
    EXPECT_EQ(joined("He saw the Garden.", "the garden was green"), "He saw the garden was green");
    EXPECT_EQ(joined("a wonderfull day", "wonderful day it was"), "a wonderfull day it was");
    // A word that the cut broke, on either side.
    EXPECT_EQ(joined("we went to the ol", "the old house"), "we went to the old house");
    EXPECT_EQ(joined("went to the house", "ouse by the sea"), "went to the house by the sea");
    EXPECT_EQ(joined("went to the hou", "house by the sea"), "went to the house by the sea");
    EXPECT_EQ(joined("went to the house", "nt to the house by"), "went to the house by");
}

TEST(Seam, loses_nothing_where_nothing_is_common) {
    EXPECT_EQ(joined("one two three", "four five"), "one two three four five");
    EXPECT_EQ(joined("", "four five"), "four five");
    EXPECT_EQ(joined("one", ""), "one");
    EXPECT_EQ(joined("...", "!?"), "... !?");
    // A common word far from the seam is no seam.
    EXPECT_EQ(joined("the cat sat on a mat today", "we saw a dog and the cat sat"),
              "the cat sat on a mat today we saw a dog and the cat sat");
}

TEST(Sentences, end_at_marks_but_not_in_numbers_and_short_forms) {
    using Parts = std::vector<std::string_view>;
    EXPECT_EQ(split_sentences(""), Parts{});
    EXPECT_EQ(split_sentences("No mark"), Parts{"No mark"});
    EXPECT_EQ(split_sentences("One. Two! Three? \"Four.\" Five"),
              (Parts{"One. ", "Two! ", "Three? ", "\"Four.\" ", "Five"}));
    EXPECT_EQ(split_sentences("Dr. Smith has 1.7 m, e.g. 3. Then J. Doe left."),
              (Parts{"Dr. Smith has 1.7 m, e.g. 3. ", "Then J. Doe left."}));
    EXPECT_EQ(split_sentences("So... and on. End"), (Parts{"So... and on. ", "End"}));
    EXPECT_EQ(split_sentences("\u4F60\u597D\u3002\u518D\u89C1\u3002"),
              (Parts{"\u4F60\u597D\u3002", "\u518D\u89C1\u3002"}));
    EXPECT_EQ(spoken_length("na\u00EFve"), 5U);
    EXPECT_EQ(spoken_length("\u4F60\u597D"), 6U);
}

PieceText piece_text(double begin, double end, const std::string& text) {
    PieceText piece;
    const auto sample = [](double s) { return static_cast<size_t>(s * kSpeechRateHz); };
    piece.range = {sample(begin), sample(end)};
    piece.speech = piece.range;
    piece.voiced = {piece.range};
    piece.text = text;
    piece.tokens = {1, 2, 3, 4};
    return piece;
}

TEST(Joiner, shares_the_voiced_time_of_a_piece_among_its_sentences) {
    PieceText piece = piece_text(10, 20, "Fore. Fivefold.");
    // A pause of 6 s between the two.
    piece.voiced = {{160000, 192000}, {288000, 320000}};  // 2 s each
    Transcript transcript;
    Joiner joiner(transcript);
    joiner.take(piece);
    joiner.take(piece_text(30, 31, "Alone."));
    joiner.finish();
    ASSERT_EQ(transcript.segments.size(), 3U);
    const auto& first = transcript.segments[0];
    const auto& second = transcript.segments[1];
    EXPECT_DOUBLE_EQ(first.start, 10);
    // The pause is where the one ends and the other begins, although their lengths differ.
    EXPECT_DOUBLE_EQ(first.end, 12);
    EXPECT_DOUBLE_EQ(second.start, 18);
    EXPECT_DOUBLE_EQ(second.end, 20);
    EXPECT_TRUE(first.estimated);
    EXPECT_EQ(first.tokens.size() + second.tokens.size(), 4U);
    EXPECT_FALSE(transcript.segments[2].estimated);
    EXPECT_DOUBLE_EQ(transcript.segments[2].seek, 30);
}

TEST(Joiner, joins_forced_cuts_and_leaves_pauses_alone) {
    PieceText first = piece_text(0, 10, "it was the old house");
    first.forced_end = true;
    PieceText second = piece_text(9, 15, "old house by the sea");
    second.forced_begin = true;
    Transcript transcript;
    Joiner joiner(transcript);
    joiner.take(first);
    EXPECT_TRUE(transcript.segments.empty());  // may still lose words
    joiner.take(second);
    joiner.take(piece_text(16, 17, "by the sea"));
    joiner.finish();
    EXPECT_EQ(transcript_text(transcript), "it was the old house by the sea by the sea");
    ASSERT_EQ(transcript.segments.size(), 3U);
    EXPECT_LE(transcript.segments[0].end, transcript.segments[1].start);
}

Transcript example() {
    Transcript transcript;
    transcript.language = "English";
    transcript.duration = 3723.5;
    TranscriptSegment segment;
    segment.start = 0.5;
    segment.end = 1.9996;
    segment.text = "A <b> & c\n--> d";
    segment.tokens = {5, 6};
    segment.avg_logprob = -0.25F;
    segment.compression_ratio = 0.75F;
    transcript.segments.push_back(segment);
    segment = {};
    segment.start = 2;
    segment.end = 3;
    transcript.segments.push_back(segment);  // nothing was said
    segment.start = 3661.001;
    segment.end = 3723.5;
    segment.text = "\u00DCber\x01 alles.";
    segment.estimated = true;
    transcript.segments.push_back(segment);
    return transcript;
}

TEST(Writers, write_each_format_to_the_byte) {
    const Transcript transcript = example();
    EXPECT_EQ(write_transcript(transcript, TranscriptFormat::txt),
              "A <b> & c --> d \u00DCber alles.\n");
    EXPECT_EQ(write_transcript(transcript, TranscriptFormat::srt),
              "1\n00:00:00,500 --> 00:00:02,000\nA <b> & c -> d\n\n"
              "2\n01:01:01,001 --> 01:02:03,500\n\u00DCber alles.\n\n");
    EXPECT_EQ(write_transcript(transcript, TranscriptFormat::vtt),
              "WEBVTT\n\n"
              "00:00:00.500 --> 00:00:02.000\nA &lt;b&gt; &amp; c --&gt; d\n\n"
              "01:01:01.001 --> 01:02:03.500\n\u00DCber alles.\n\n");
    const auto json = parse_json(write_transcript(transcript, TranscriptFormat::json));
    ASSERT_TRUE(json.has_value());
    EXPECT_EQ(json->find("task")->text, "transcribe");
    EXPECT_EQ(json->find("language")->text, "english");
    EXPECT_EQ(json->find("duration")->text, "3723.5");
    EXPECT_EQ(json->find("text")->text, "A <b> & c --> d \u00DCber alles.");
    const std::vector<Json>& segments = json->find("segments")->items;
    ASSERT_EQ(segments.size(), 3U);
    EXPECT_EQ(write_json(segments[0]),
              "{\"id\":0,\"seek\":0,\"start\":0.5,\"end\":2,\"text\":\"A <b> & c\\n--> d\","
              "\"tokens\":[5,6],\"temperature\":0,\"avg_logprob\":-0.25,"
              "\"compression_ratio\":0.75,\"no_speech_prob\":0}");
    EXPECT_TRUE(segments[2].find("estimated")->boolean);
}

TEST(Writers, show_translations_and_keep_the_source) {
    Transcript transcript;
    transcript.target_language = "French";
    TranscriptSegment segment;
    segment.text = "Hello.";
    segment.translation = "Bonjour.";
    segment.end = 1;
    transcript.segments.push_back(segment);
    EXPECT_EQ(write_transcript(transcript, TranscriptFormat::txt), "Bonjour.\n");
    const Json json = transcript_json(transcript);
    EXPECT_EQ(json.find("task")->text, "translate");
    EXPECT_TRUE(json.find("language")->is_null());
    EXPECT_EQ(json.find("text")->text, "Bonjour.");
    EXPECT_EQ(json.find("source_text")->text, "Hello.");
}

TEST(Writers, write_nothing_for_silence) {
    EXPECT_EQ(write_transcript({}, TranscriptFormat::txt), "");
    EXPECT_EQ(write_transcript({}, TranscriptFormat::srt), "");
    EXPECT_EQ(write_transcript({}, TranscriptFormat::vtt), "WEBVTT\n\n");
    EXPECT_EQ(clock_time(-1, ','), "00:00:00,000");
    EXPECT_EQ(clock_time(360000, '.'), "100:00:00.000");
}

std::string content_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Writers, replace_files_at_once) {
    const TempTree tree;
    tree.write("a.txt", "old");
    ASSERT_TRUE(replace_file(tree.path("a.txt"), "new").ok());
    EXPECT_EQ(content_of(tree.path("a.txt")), "new");
    EXPECT_EQ(replace_file(tree.path("none/a.txt"), "new").code(), StatusCode::io);
    const auto n_files = std::distance(std::filesystem::directory_iterator(tree.path()), {});
    EXPECT_EQ(n_files, 1);
}

class JournalTest : public ::testing::Test {
  protected:
    static PieceResult result(size_t index) {
        PieceResult made;
        made.index = index;
        made.range = {index * 1000, index * 1000 + 900};
        PieceText part = piece_text(1, 2, "A \"quoted\" text\n");
        part.forced_end = true;
        part.avg_logprob = -0.125F;
        made.parts = {part, part};
        return made;
    }
    static Piece piece(size_t index) {
        Piece made;
        made.index = index;
        made.range = result(index).range;
        return made;
    }
    Result<std::unique_ptr<Journal>> open(bool resume) const {
        return Journal::open(path_, key_, resume);
    }
    /// Writes a journal of three pieces.
    void write_three() const {
        const auto journal = open(false);
        ASSERT_TRUE(journal.has_value());
        for (size_t i = 0; i < 3; ++i) ASSERT_TRUE((*journal)->add(result(i)).ok());
    }

    TempTree tree_;
    std::string path_ = tree_.path("journal");
    JournalKey key_ = {100, "abc", "model=m language=English"};
};

TEST_F(JournalTest, gives_back_what_was_added) {
    write_three();
    const auto journal = open(true);
    ASSERT_TRUE(journal.has_value()) << journal.error().message();
    EXPECT_EQ((*journal)->n_known(), 3U);
    const PieceResult* found = (*journal)->find(piece(1));
    ASSERT_NE(found, nullptr);
    ASSERT_EQ(found->parts.size(), 2U);
    EXPECT_EQ(found->parts[0].text, "A \"quoted\" text\n");
    EXPECT_EQ(found->parts[0].tokens, (std::vector<int32_t>{1, 2, 3, 4}));
    EXPECT_EQ(found->parts[0].voiced, result(1).parts[0].voiced);
    EXPECT_TRUE(found->parts[1].forced_end);
    EXPECT_EQ(found->parts[1].avg_logprob, -0.125F);
    Piece moved = piece(1);
    ++moved.range.end;
    EXPECT_EQ((*journal)->find(moved), nullptr);
    EXPECT_EQ((*journal)->find(piece(3)), nullptr);
    (*journal)->remove();
    EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(JournalTest, survives_being_cut_anywhere) {
    write_three();
    const std::string whole = content_of(path_);
    const size_t header = whole.find('\n') + 1;
    for (size_t n = 0; n <= whole.size(); n += n < header + 3 ? 1 : 37) {
        tree_.write("journal", whole.substr(0, n));
        const auto journal = open(true);
        ASSERT_TRUE(journal.has_value()) << n << journal.error().message();
        const auto n_lines =
            std::count(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(n), '\n');
        EXPECT_EQ((*journal)->n_known(), n_lines == 0 ? 0U : static_cast<size_t>(n_lines) - 1) << n;
        // What is added now can be read again.
        ASSERT_TRUE((*journal)->add(result(9)).ok());
        const auto again = open(true);
        ASSERT_TRUE(again.has_value()) << n;
        EXPECT_NE((*again)->find(piece(9)), nullptr) << n;
    }
}

TEST_F(JournalTest, refuses_what_belongs_to_something_else) {
    write_three();
    key_.settings += " hints=x";
    EXPECT_EQ(open(true).error().code(), StatusCode::bad_argument);
    for (const char* text : {"hello\n", "{}\n", "\n", "no line end", "\xFF\xFE\n"}) {
        tree_.write("journal", text);
        EXPECT_EQ(open(true).error().code(), StatusCode::bad_argument) << text;
    }
    EXPECT_TRUE(open(false).has_value());  // begins anew
}

TEST_F(JournalTest, refuses_lines_that_make_no_sense) {
    write_three();
    const std::string header = content_of(path_).substr(0, content_of(path_).find('\n') + 1);
    for (const char* line : {"{}", "[]", "{\"piece\":-1,\"range\":[0,1],\"parts\":[]}",
                             "{\"piece\":0,\"range\":[5,1],\"parts\":[]}",
                             "{\"piece\":0,\"range\":[0,1e300],\"parts\":[]}",
                             "{\"piece\":0,\"range\":[0,1],\"parts\":[{}]}", "nonsense"}) {
        tree_.write("journal", header + line + "\n");
        EXPECT_EQ(open(true).error().code(), StatusCode::bad_argument) << line;
    }
}

TEST_F(JournalTest, has_a_key_of_the_whole_content) {
    tree_.write("a", "sound");
    tree_.write("b", "sounD");
    const auto first = journal_key(tree_.path("a"), "s");
    const auto second = journal_key(tree_.path("b"), "s");
    ASSERT_TRUE(first.has_value() && second.has_value());
    EXPECT_NE(*first, *second);
    EXPECT_EQ(first->source_bytes, 5U);
    EXPECT_FALSE(journal_key(tree_.path("c"), "s").has_value());
}

}  // namespace
}  // namespace gemlet
