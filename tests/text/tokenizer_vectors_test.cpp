// Every line of the reference vectors; skipped without them.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "frontends/text/tokenizer/detokenizer.h"
#include "tests/text/tokenizer_data.h"

namespace gemlet::test {
namespace {

class TokenizerVectors : public testing::Test {
  protected:
    void SetUp() override {
        if (full() == nullptr) {
            GTEST_SKIP() << "no reference data";
        }
    }
    static std::vector<Json> lines(std::string_view name) {
        std::vector<Json> found = read_json_lines(shared_path(name));
        EXPECT_FALSE(found.empty()) << name;
        return found;
    }
};

TEST_F(TokenizerVectors, encode_every_line) {
    for (const Json& line : lines("tokenizer/encode.jsonl")) {
        EXPECT_EQ(full()->encode(line.find("text")->text, line.find("parse_special")->boolean),
                  ids_of(*line.find("ids")))
            << line.find("n")->text << ": " << line.find("text")->text;
    }
}

TEST_F(TokenizerVectors, encode_every_line_as_one_segment) {
    for (const Json& line : lines("tokenizer/encode.jsonl")) {
        const TextSegment segment{line.find("text")->text, line.find("parse_special")->boolean};
        EXPECT_EQ(full()->encode_segments({&segment, 1}), ids_of(*line.find("ids")))
            << line.find("n")->text;
    }
}

TEST_F(TokenizerVectors, decode_every_line) {
    for (const Json& line : lines("tokenizer/decode.jsonl")) {
        const Ids ids = ids_of(*line.find("ids"));
        const bool skip = line.find("skip_special")->boolean;
        const Result<std::string> bytes = detokenize_bytes(full()->vocabulary(), ids, skip);
        const Result<std::string> text = detokenize(full()->vocabulary(), ids, skip);
        ASSERT_TRUE(bytes && text);
        EXPECT_EQ(*bytes, from_hex(line.find("bytes_hex")->text)) << line.find("n")->text;
        EXPECT_EQ(*text, line.find("text")->text) << line.find("n")->text;
    }
}

TEST_F(TokenizerVectors, decode_every_stream_line) {
    for (const Json& line : lines("tokenizer/stream_decode.jsonl")) {
        const Ids ids = ids_of(*line.find("ids"));
        const Json& chunks = *line.find("chunks");
        StreamDetokenizer stream(full()->vocabulary(), line.find("skip_special")->boolean);
        ASSERT_EQ(chunks.items.size(), ids.size());
        for (size_t i = 0; i < ids.size(); ++i) {
            EXPECT_EQ(stream.push(ids[i]), chunks.items[i].text) << line.find("n")->text;
        }
        EXPECT_EQ(stream.flush(), line.find("flush")->text) << line.find("n")->text;
    }
}

TEST_F(TokenizerVectors, media_prompts_have_their_ids) {
    for (const Json& line : lines("chat/media.jsonl")) {
        EXPECT_EQ(full()->encode(line.find("expanded")->text, true), ids_of(*line.find("ids")))
            << line.find("n")->text;
    }
}

TEST_F(TokenizerVectors, chat_prompts_have_their_lengths) {
    size_t n_prompts = 0;
    for (const Json& line : lines("chat/render.jsonl")) {
        const Json* prompt = line.find("prompt");
        const Json* n_tokens = line.find("n_tokens");
        if (prompt == nullptr || n_tokens == nullptr) {
            continue;  // the template refuses these messages
        }
        EXPECT_EQ(full()->count(prompt->text, true), static_cast<size_t>(n_tokens->number))
            << line.find("n")->text;
        ++n_prompts;
    }
    EXPECT_GE(n_prompts, 200U);
}

TEST_F(TokenizerVectors, fixtures_agree_from_directory_and_gguf) {
    for (const char* name :
         {"dense-31b-tiny", "e2b-tiny", "e4b-tiny", "moe-26b-tiny", "unified-12b-tiny"}) {
        const std::string base = shared_path("fixtures/") + name;
        const Result<Tokenizer> from_directory = tokenizer_from_directory(base + "/hf");
        const Result<GgufFile> file = GgufFile::open(base + "/model-bf16.gguf");
        ASSERT_TRUE(from_directory) << from_directory.error().message();
        ASSERT_TRUE(file) << file.error().message();
        const Result<Tokenizer> from_gguf = tokenizer_from_gguf(*file);
        ASSERT_TRUE(from_gguf) << from_gguf.error().message();
        const Result<Json> cases = parse_json(read_file(base + "/tokenize.json"));
        ASSERT_TRUE(cases);
        ASSERT_FALSE(cases->items.empty());
        for (const Json& item : cases->items) {
            const Ids ids = ids_of(*item.find("ids"));
            EXPECT_EQ(from_directory->encode(item.find("text")->text), ids) << name;
            EXPECT_EQ(from_gguf->encode(item.find("text")->text), ids) << name;
        }
    }
}

void expect_same_vocabulary(const Vocabulary& a, const Vocabulary& b) {
    ASSERT_EQ(a.size(), b.size());
    ASSERT_EQ(a.merges().size(), b.merges().size());
    for (int32_t id = 0; a.contains(id); ++id) {
        EXPECT_EQ(a.piece(id), b.piece(id)) << id;
        EXPECT_EQ(a.type(id), b.type(id)) << id;
        EXPECT_EQ(a.is_special(id), b.is_special(id)) << id;
    }
    EXPECT_EQ(a.bos(), b.bos());
    EXPECT_EQ(a.eos(), b.eos());
    EXPECT_EQ(a.unknown(), b.unknown());
    EXPECT_EQ(a.padding(), b.padding());
    EXPECT_EQ(a.mask(), b.mask());
}

TEST_F(TokenizerVectors, nano_is_the_same_from_directory_and_gguf) {
    const Result<GgufFile> file = GgufFile::open(shared_path("nano/gguf/gemma-4-nano-bf16.gguf"));
    ASSERT_TRUE(file) << file.error().message();
    const Result<Vocabulary> from_gguf = vocabulary_from_gguf(*file);
    ASSERT_TRUE(from_gguf) << from_gguf.error().message();
    expect_same_vocabulary(*from_gguf, nano().vocabulary());
    EXPECT_TRUE(std::ranges::equal(from_gguf->stop_ids(), nano().vocabulary().stop_ids()));
}

TEST_F(TokenizerVectors, every_fixture_vocabulary_loads_alike) {
    for (const char* name : {"assistant-e2b-tiny", "e2b-quant-tiny"}) {
        const std::string base = shared_path("fixtures/") + name;
        const Result<Vocabulary> from_directory = vocabulary_from_directory(base + "/hf");
        ASSERT_TRUE(from_directory) << from_directory.error().message();
        const bool quant = std::string_view(name) == "e2b-quant-tiny";
        const Result<GgufFile> file =
            GgufFile::open(base + (quant ? "/q8_0.gguf" : "/model-bf16.gguf"));
        ASSERT_TRUE(file) << file.error().message();
        const Result<Vocabulary> from_gguf = vocabulary_from_gguf(*file);
        ASSERT_TRUE(from_gguf) << from_gguf.error().message();
        expect_same_vocabulary(*from_directory, *from_gguf);
    }
}

TEST_F(TokenizerVectors, full_vocabulary_is_what_the_specification_says) {
    const Vocabulary& vocabulary = full()->vocabulary();
    EXPECT_EQ(vocabulary.size(), 262144U);
    EXPECT_EQ(vocabulary.merges().size(), 514906U);
    EXPECT_EQ(vocabulary.longest_piece_bytes(), 93U);
    EXPECT_EQ(vocabulary.bos(), 2);
    EXPECT_EQ(vocabulary.eos(), 1);
    EXPECT_TRUE(vocabulary.add_bos());
    EXPECT_TRUE(std::ranges::equal(vocabulary.stop_ids(), std::vector<int32_t>{1, 50, 106}));
    EXPECT_FALSE(full()->is_stop(full()->id_of("</s>")));
    EXPECT_EQ(full()->id_of("<|\"|>"), 52);
    EXPECT_EQ(full()->type(52), PieceType::user_defined);
    EXPECT_EQ(full()->type(258880), PieceType::control);
    EXPECT_EQ(full()->type(251), PieceType::byte);
    size_t n_special = 0;
    for (int32_t id = 0; vocabulary.contains(id); ++id) {
        n_special += vocabulary.is_special(id) ? 1 : 0;
    }
    EXPECT_EQ(n_special, 24U);
}

TEST_F(TokenizerVectors, traps_of_the_specification) {
    const Tokenizer& t = *full();
    EXPECT_EQ(t.encode("\n\n\n"), Ids{109});
    EXPECT_EQ(t.encode("\r"), Ids{251});
    EXPECT_EQ(t.encode("<|tool_call>", true), Ids{48});
    EXPECT_GT(t.encode("<|tool_call>").size(), 1U);
    EXPECT_GT(t.encode("<0x0A>").size(), 1U);
    EXPECT_EQ(t.encode("<eos>", true), Ids{1});
    EXPECT_GT(t.encode("<eos>").size(), 1U);
    EXPECT_EQ(t.encode("a  b").size(), 3U);
    EXPECT_EQ(t.encode("<table>").size(), 3U);
    EXPECT_EQ(t.encode("2024").size(), 4U);
    EXPECT_EQ(t.encode(std::string(64, ' ')), (Ids{167, 167, 138}));
    EXPECT_EQ(t.encode("\xE2\x96\x81x"), t.encode(" x"));
}

}  // namespace
}  // namespace gemlet::test
