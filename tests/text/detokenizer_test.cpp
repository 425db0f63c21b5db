// Decoding at once and as a stream, on the nano vocabulary; and that a stream allocates nothing.
#include "frontends/text/tokenizer/detokenizer.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "frontends/text/tokenizer/utf8.h"
#include "tests/text/count_allocations.h"
#include "tests/text/tokenizer_data.h"

namespace gemlet::test {
namespace {

Ids bytes(std::string_view text) {
    Ids ids;
    for (const char byte : text) {
        ids.push_back(nano().vocabulary().byte_id(static_cast<uint8_t>(byte)));
    }
    return ids;
}

std::string streamed(const Vocabulary& vocabulary, const Ids& ids, bool skip_special) {
    StreamDetokenizer stream(vocabulary, skip_special);
    std::string text;
    for (const int32_t id : ids) {
        text += stream.push(id);
    }
    text += stream.flush();
    return text;
}

TEST(Detokenizer, replaces_each_longest_broken_sequence) {
    const std::string r(kReplacement);
    EXPECT_EQ(replace_broken_utf8(""), "");
    EXPECT_EQ(replace_broken_utf8("abc"), "abc");
    EXPECT_EQ(replace_broken_utf8("\xFF"), r);
    EXPECT_EQ(replace_broken_utf8("\xE2\x96"), r);
    EXPECT_EQ(replace_broken_utf8("\xE2\x96x"), r + "x");
    EXPECT_EQ(replace_broken_utf8("\xF0\x9F\x98"), r);
    EXPECT_EQ(replace_broken_utf8("\xF0\x9F\xE2\x96\x81"), r + "\xE2\x96\x81");
    EXPECT_EQ(replace_broken_utf8("\xC0\xAF"), r + r);
    EXPECT_EQ(replace_broken_utf8("\xED\xA0\x80"), r + r + r);
    EXPECT_EQ(replace_broken_utf8("a\x80"
                                  "b"),
              "a" + r + "b");
}

TEST(Detokenizer, skips_specials_on_request) {
    const Tokenizer& t = nano();
    const Ids ids = t.encode("<|turn>a<|tool_call>b<turn|>", true);
    EXPECT_EQ(*detokenize(t.vocabulary(), ids, true), "ab");
    EXPECT_EQ(*detokenize(t.vocabulary(), ids, false), "<|turn>a<|tool_call>b<turn|>");
    EXPECT_EQ(streamed(t.vocabulary(), ids, true), "ab");
}

TEST(Detokenizer, refuses_ids_outside_the_vocabulary) {
    for (const int32_t id : {-1, 2048, INT32_MAX, INT32_MIN}) {
        const Result<std::string> text = detokenize(nano().vocabulary(), Ids{id}, false);
        EXPECT_EQ(text.error().code(), StatusCode::bad_argument);
        EXPECT_EQ(text.error().number(), id);
        StreamDetokenizer stream(nano().vocabulary(), true);
        EXPECT_EQ(stream.push(id), kReplacement);
    }
}

TEST(StreamDetokenizer, holds_characters_until_they_are_whole) {
    StreamDetokenizer stream(nano().vocabulary(), false);
    const Ids fox = bytes("\xF0\x9F\xA6\x8A");
    for (size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(stream.push(fox[i]), "");
    }
    EXPECT_EQ(stream.push(fox[3]), "\xF0\x9F\xA6\x8A");
    EXPECT_EQ(stream.flush(), "");
}

TEST(StreamDetokenizer, breaks_tails_at_once) {
    StreamDetokenizer stream(nano().vocabulary(), false);
    const std::string r(kReplacement);
    EXPECT_EQ(stream.push(bytes("\xE2")[0]), "");
    EXPECT_EQ(stream.push(bytes("\xE2")[0]), r);  // the first is broken, the second waits
    EXPECT_EQ(stream.push(bytes("\xFF")[0]), r + r);
    EXPECT_EQ(stream.push(bytes("\xC3")[0]), "");
    EXPECT_EQ(stream.push(nano().encode("e")[0]), r + "e");
    EXPECT_EQ(stream.push(bytes("\xF0")[0]), "");
    EXPECT_EQ(stream.flush(), r);
    EXPECT_EQ(stream.flush(), "");
    EXPECT_EQ(stream.push(nano().encode("e")[0]), "e");  // starts anew
}

TEST(StreamDetokenizer, equals_decoding_at_once) {
    std::mt19937 random(3);
    const Vocabulary& vocabulary = nano().vocabulary();
    for (int round = 0; round < 400; ++round) {
        Ids ids(random() % 50);
        for (int32_t& id : ids) {  // every other id a byte
            id = random() % 2 == 0 ? vocabulary.byte_id(static_cast<uint8_t>(random()))
                                   : static_cast<int32_t>(random() % vocabulary.size());
        }
        const bool skip = round % 2 == 0;
        EXPECT_EQ(streamed(vocabulary, ids, skip), *detokenize(vocabulary, ids, skip));
    }
}

TEST(StreamDetokenizer, allocates_nothing_after_construction) {
    const Vocabulary& vocabulary = nano().vocabulary();
    StreamDetokenizer stream(vocabulary, false);
    size_t n_bytes = 0;
    const size_t before = n_allocations();
    for (int32_t id = -1; id <= static_cast<int32_t>(vocabulary.size()); ++id) {
        n_bytes += stream.push(id).size();
    }
    n_bytes += stream.flush().size();
    EXPECT_EQ(n_allocations(), before);
    EXPECT_GT(n_bytes, 1000U);
}

}  // namespace
}  // namespace gemlet::test
