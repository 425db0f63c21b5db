// Loading vocabularies: roles, small and strange ones, and files that are wrong or hostile.
#include "frontends/text/tokenizer/vocabulary.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "frontends/text/tokenizer/tokenizer.h"
#include "frontends/text/tokenizer/tokenizer_json.h"
#include "tests/text/tokenizer_data.h"

namespace gemlet::test {
namespace {

std::string json_with(const std::string& vocab, const std::string& merges,
                      const std::string& added = "[]") {
    return R"({"added_tokens":)" + added + R"(,"model":{"type":"BPE","vocab":)" + vocab +
           R"(,"merges":)" + merges + "}}";
}

StatusCode code_of(const Result<Vocabulary>& loaded) { return loaded.error().code(); }

StatusCode json_code(const std::string& vocab, const std::string& merges,
                     const std::string& added = "[]") {
    return code_of(load_json(json_with(vocab, merges, added)));
}

const std::string kSmall = R"({"<unk>":0,"<eos>":1,"<bos>":2,"a":3,"b":4,"ab":5})";

TEST(Vocabulary, nano_has_its_roles) {
    const Vocabulary& vocabulary = nano().vocabulary();
    EXPECT_EQ(vocabulary.size(), 2048U);
    EXPECT_EQ(vocabulary.bos(), 2);
    EXPECT_EQ(vocabulary.eos(), 1);
    EXPECT_EQ(vocabulary.unknown(), 3);
    EXPECT_EQ(vocabulary.padding(), 0);
    EXPECT_EQ(vocabulary.mask(), 4);
    EXPECT_TRUE(vocabulary.add_bos());
    EXPECT_TRUE(std::ranges::equal(vocabulary.stop_ids(), std::vector<int32_t>{1, 50, 106}));
    EXPECT_TRUE(vocabulary.suppressed_ids().empty());
    EXPECT_TRUE(vocabulary.is_stop(106));
    EXPECT_FALSE(vocabulary.is_stop(2));
    EXPECT_EQ(vocabulary.type(48), PieceType::user_defined);
    EXPECT_EQ(vocabulary.type(106), PieceType::control);
    EXPECT_EQ(vocabulary.type(238), PieceType::byte);
    EXPECT_EQ(vocabulary.bytes(238), std::string_view("\0", 1));
    EXPECT_EQ(vocabulary.piece(238), "<0x00>");
    EXPECT_EQ(vocabulary.id_of("<|video|>"), 2047);
    EXPECT_EQ(vocabulary.id_of("no such piece"), kNoToken);
    EXPECT_EQ(vocabulary.id_of(""), kNoToken);
}

TEST(Vocabulary, ids_outside_are_harmless) {
    for (const int32_t id : {-1, 2048, INT32_MAX, INT32_MIN}) {
        EXPECT_EQ(nano().piece(id), "");
        EXPECT_EQ(nano().type(id), PieceType::unused);
        EXPECT_FALSE(nano().is_special(id));
        EXPECT_FALSE(nano().is_stop(id));
    }
}

TEST(Vocabulary, every_piece_finds_itself) {
    for (int32_t id = 0; nano().vocabulary().contains(id); ++id) {
        EXPECT_EQ(nano().id_of(nano().piece(id)), id);
    }
}

TEST(Vocabulary, stop_ids_come_from_the_generation_settings) {
    const auto stops = [](const std::string& generation) {
        const Result<Vocabulary> loaded = load_json(json_with(kSmall, "[]"), "", generation);
        EXPECT_TRUE(loaded) << loaded.error().message();
        const auto ids = loaded->stop_ids();
        return Ids(ids.begin(), ids.end());
    };
    EXPECT_EQ(stops(""), Ids{1});
    EXPECT_EQ(stops("{}"), Ids{1});
    EXPECT_EQ(stops(R"({"eos_token_id":null})"), Ids{1});
    EXPECT_EQ(stops(R"({"eos_token_id":4})"), Ids{4});
    EXPECT_EQ(stops(R"({"eos_token_id":[5,4,5]})"), (Ids{4, 5}));
    const Result<Vocabulary> loaded =
        load_json(json_with(kSmall, "[]"), R"({"bos_token":{"content":"b"}})",
                  R"({"suppress_tokens":[3,0]})");
    ASSERT_TRUE(loaded);
    EXPECT_EQ(loaded->bos(), 4);
    EXPECT_TRUE(std::ranges::equal(loaded->suppressed_ids(), std::vector<int32_t>{0, 3}));
}

TEST(Vocabulary, wrong_settings_are_errors) {
    for (const char* generation :
         {"[", R"({"eos_token_id":"x"})", R"({"eos_token_id":[6]})", R"({"eos_token_id":-1})",
          R"({"eos_token_id":1.5})", R"({"eos_token_id":1e300})", R"({"suppress_tokens":[99]})"}) {
        EXPECT_EQ(code_of(load_json(json_with(kSmall, "[]"), "", generation)), StatusCode::corrupt)
            << generation;
    }
}

TEST(Vocabulary, a_byte_stand_in_loads_and_keeps_ascii) {
    std::string vocab = R"({"<pad>":0,"<eos>":1,"<bos>":2,"<unk>":3)";
    for (int byte = 0; byte < 256; ++byte) {
        const char* digits = "0123456789ABCDEF";
        vocab += R"(,"<0x)" + std::string(1, digits[byte / 16]) + digits[byte % 16] + R"(>":)" +
                 std::to_string(4 + byte);
    }
    Result<Vocabulary> loaded = load_json(json_with(vocab + "}", "[]"));
    ASSERT_TRUE(loaded) << loaded.error().message();
    const Tokenizer tokenizer(std::move(*loaded));
    EXPECT_EQ(tokenizer.vocabulary_size(), 260U);
    EXPECT_EQ(tokenizer.encode("a b"), (Ids{4 + 'a', 4 + ' ', 4 + 'b'}));
    EXPECT_EQ(tokenizer.encode("<bos>", true), Ids{2});
}

TEST(Vocabulary, gaps_between_ids_have_no_meaning) {
    const Result<Vocabulary> loaded = load_json(json_with(R"({"<unk>":0,"a":9})", "[]"));
    ASSERT_TRUE(loaded);
    EXPECT_EQ(loaded->size(), 10U);
    EXPECT_EQ(loaded->type(5), PieceType::unused);
    EXPECT_EQ(loaded->id_of("a"), 9);
}

TEST(Vocabulary, added_tokens_decide_what_is_special) {
    const std::string added = R"([{"id":3,"content":"a","special":true},
        {"id":6,"content":"<table>","special":false},{"id":1,"content":"<eos>","special":true}])";
    Result<Vocabulary> loaded = load_json(json_with(kSmall, "[]", added));
    ASSERT_TRUE(loaded) << loaded.error().message();
    const Tokenizer tokenizer(std::move(*loaded));
    EXPECT_TRUE(tokenizer.is_special(3));
    EXPECT_FALSE(tokenizer.is_special(6));
    EXPECT_TRUE(tokenizer.vocabulary().is_literal(6));
    EXPECT_EQ(tokenizer.encode("b<table>b"), (Ids{4, 6, 4}));  // literal: always
    EXPECT_EQ(tokenizer.encode("ba", true), (Ids{4, 3}));
    EXPECT_EQ(tokenizer.encode("ba"), (Ids{4, 0}));  // special: never from plain text
    const std::vector<TextSegment> split = {{"<t", true}, {"able>a", false}, {"a<eos>", true}};
    EXPECT_EQ(tokenizer.encode_segments(split), (Ids{6, 0, 3, 1}));
}

TEST(Vocabulary, contradictions_in_json_are_errors) {
    EXPECT_EQ(json_code(kSmall, R"([["a","b"]])"), StatusCode::ok);
    EXPECT_EQ(json_code(kSmall, R"(["a b"])"), StatusCode::ok);
    for (const char* merges :
         {R"([["a","x"]])", R"([["x","a"]])", R"([["b","a"]])", R"([["a","b"],["a","b"]])",
          R"([["a"]])", R"([["a","b","b"]])", R"([[1,2]])", R"(["ab"])", R"([["","a"]])", R"({})",
          R"([["<unk>","a"]])", R"(7)", R"([null])"}) {
        EXPECT_EQ(json_code(kSmall, merges), StatusCode::corrupt) << merges;
    }
    for (const char* vocab :
         {R"({"<unk>":0,"a":0})", R"({"<unk>":-1})", R"({"<unk>":4294967296})",
          R"({"<unk>":1048575})", R"({"<unk>":"0"})", R"({"<unk>":0.5})", R"([])", R"({"<unk>":0)",
          R"({"<unk>":0,"a":1,"a":2})", R"({"\ud800":0})", R"({"<unk>":1e30})"}) {
        EXPECT_EQ(json_code(vocab, "[]"), StatusCode::corrupt) << vocab;
    }
    for (const char* added :
         {R"({})", R"([{"id":0}])", R"([{"content":"x"}])", R"([{"id":3,"content":"b"}])",
          R"([{"id":0,"content":""}])", R"([{"id":-5,"content":"x"}])",
          R"([{"id":7,"content":"a"}])", R"([5])", R"([{"id":99999999999,"content":"x"}])"}) {
        EXPECT_EQ(json_code(kSmall, "[]", added), StatusCode::corrupt) << added;
    }
    EXPECT_EQ(json_code("{}", "[]"), StatusCode::not_found);
    EXPECT_EQ(json_code(R"({"a":0})", "[]"), StatusCode::unsupported);  // neither bytes nor <unk>
    EXPECT_EQ(code_of(load_json(R"({"model":{"type":"Unigram","vocab":{"<unk>":0}}})")),
              StatusCode::unsupported);
    EXPECT_EQ(code_of(load_json("")), StatusCode::corrupt);
    EXPECT_EQ(code_of(load_json("{}")), StatusCode::corrupt);
    EXPECT_EQ(code_of(load_json("[]")), StatusCode::corrupt);
    EXPECT_EQ(code_of(load_json(std::string(100000, '['))), StatusCode::corrupt);
    EXPECT_EQ(code_of(load_json("\xFF\xFE")), StatusCode::corrupt);
    EXPECT_EQ(code_of(vocabulary_from_directory("/nonexistent")), StatusCode::not_found);
}

TEST(Vocabulary, merges_may_come_before_the_vocabulary) {
    EXPECT_TRUE(load_json(R"({"model":{"merges":[["a","b"]],"vocab":)" + kSmall + "}}"));
}

// Each cut of a real file is an error, never a crash; both readers agree on all of it.
TEST(Vocabulary, json_readers_agree_and_survive_cuts) {
    const std::string text = read_file(nano_directory() + "/tokenizer.json");
    const auto same = [](const Result<TokenizerJson>& a, const Result<TokenizerJson>& b) {
        return a && b && a->bytes == b->bytes && a->pieces.size() == b->pieces.size() &&
               a->merges.size() == b->merges.size() && a->added.size() == b->added.size() &&
               a->model_type == b->model_type;
    };
    EXPECT_TRUE(same(parse_tokenizer_json(text), parse_tokenizer_json_plain(text)));
    for (size_t n = 0; n < text.size(); n += n < 9000 ? 211 : 9973) {
        EXPECT_FALSE(parse_tokenizer_json(std::string_view(text).substr(0, n))) << n;
        EXPECT_FALSE(parse_tokenizer_json_plain(std::string_view(text).substr(0, n))) << n;
    }
    EXPECT_FALSE(parse_tokenizer_json(text + "x"));
    EXPECT_FALSE(parse_tokenizer_json_plain(text + "x"));
}

const std::vector<std::string> kPieces = {"<unk>", "<eos>", "<turn|>", "a", "b", "ab", "\n"};

GgufWriter gguf(const std::vector<std::string>& pieces = kPieces,
                const std::vector<std::string>& merges = {"a b"}) {
    GgufWriter writer;
    writer.text("tokenizer.ggml.model", "gemma4")
        .texts("tokenizer.ggml.tokens", pieces)
        .texts("tokenizer.ggml.merges", merges);
    return writer;
}

TEST(Vocabulary, gguf_stop_ids_are_the_key_and_the_known_texts) {
    const Result<Vocabulary> loaded =
        load_gguf(gguf().number("tokenizer.ggml.eos_token_id", 4).bytes());
    ASSERT_TRUE(loaded) << loaded.error().message();
    EXPECT_TRUE(std::ranges::equal(loaded->stop_ids(), std::vector<int32_t>{1, 2, 4}));
    EXPECT_TRUE(loaded->is_special(1));  // whatever its type
    EXPECT_FALSE(loaded->is_special(4));
    EXPECT_EQ(loaded->eos(), 4);
    EXPECT_FALSE(loaded->add_bos());  // there is none
}

TEST(Vocabulary, gguf_without_its_parts) {
    EXPECT_EQ(code_of(load_gguf(GgufWriter().bytes())), StatusCode::unsupported);
    EXPECT_EQ(code_of(load_gguf(GgufWriter().text("tokenizer.ggml.model", "gemma4").bytes())),
              StatusCode::not_found);
    EXPECT_EQ(code_of(load_gguf(GgufWriter().text("tokenizer.ggml.model", "llama").bytes())),
              StatusCode::unsupported);
    EXPECT_EQ(code_of(load_gguf(gguf({}, {}).bytes())), StatusCode::not_found);
    EXPECT_TRUE(load_gguf(GgufWriter()
                              .text("tokenizer.ggml.model", "llama")
                              .text("tokenizer.ggml.pre", "gemma4")
                              .texts("tokenizer.ggml.tokens", kPieces)
                              .bytes()));
}

TEST(Vocabulary, contradictions_in_gguf_are_errors) {
    const auto code = [](const GgufWriter& writer) { return code_of(load_gguf(writer.bytes())); };
    EXPECT_EQ(code(gguf()), StatusCode::ok);
    for (const std::vector<std::string>& merges : std::vector<std::vector<std::string>>{
             {"a x"}, {"x a"}, {"ab"}, {""}, {" "}, {"a "}, {"a b", "a b"}, {"<unk> a"}, {"b a"}}) {
        EXPECT_EQ(code(gguf(kPieces, merges)), StatusCode::corrupt) << merges[0];
    }
    EXPECT_EQ(code(gguf({"<unk>", "a", "a"}, {})), StatusCode::corrupt);
    EXPECT_EQ(code(gguf({"<unk>", "\xFF"}, {})), StatusCode::corrupt);
    EXPECT_EQ(code(gguf({"<unk>", std::string(70000, 'x')}, {})), StatusCode::unsupported);
    const char* types = "tokenizer.ggml.token_type";
    EXPECT_EQ(code(gguf().numbers(types, {1, 1, 1, 1, 1, 1, 1})), StatusCode::ok);
    EXPECT_EQ(code(gguf().numbers(types, {1, 1, 1})), StatusCode::corrupt);
    EXPECT_EQ(code(gguf().numbers(types, {1, 1, 1, 7, 1, 1, 1})), StatusCode::corrupt);
    EXPECT_EQ(code(gguf().numbers(types, {1, 1, 1, -1, 1, 1, 1})), StatusCode::corrupt);
    EXPECT_EQ(code(gguf().numbers(types, {1, 1, 1, 6, 1, 1, 1})), StatusCode::corrupt);
    // A special is no part of a merge.
    EXPECT_EQ(code(gguf().numbers(types, {1, 1, 1, 1, 1, 3, 1})), StatusCode::corrupt);
    EXPECT_EQ(code(gguf().numbers(types, {1, 1, 1, 3, 1, 1, 1})), StatusCode::corrupt);
    EXPECT_EQ(code(gguf().text(types, "x")), StatusCode::corrupt);
    for (const char* key : {"bos", "eos", "unknown", "padding", "mask"}) {
        const std::string name = "tokenizer.ggml." + std::string(key) + "_token_id";
        EXPECT_EQ(code(gguf().number(name, 7)), StatusCode::corrupt) << key;
        EXPECT_EQ(code(gguf().number(name, UINT32_MAX)), StatusCode::corrupt) << key;
        EXPECT_EQ(code(gguf().text(name, "x")), StatusCode::corrupt) << key;
    }
    EXPECT_EQ(code(gguf().numbers("tokenizer.ggml.suppress_tokens", {3, 7})), StatusCode::corrupt);
    EXPECT_EQ(code(gguf().numbers("tokenizer.ggml.suppress_tokens", {-1})), StatusCode::corrupt);
    EXPECT_EQ(code(gguf().numbers("tokenizer.ggml.suppress_tokens", {3, 3})), StatusCode::ok);
}

TEST(Vocabulary, every_cut_of_a_gguf_is_an_error) {
    const std::string whole = gguf().number("tokenizer.ggml.eos_token_id", 1).bytes();
    for (size_t n = 0; n < whole.size(); ++n) {
        EXPECT_FALSE(load_gguf(whole.substr(0, n))) << n;
    }
    EXPECT_TRUE(load_gguf(whole));
}

TEST(Vocabulary, absurd_sizes_are_errors) {
    // The counts of pieces and merges, blown up, one byte at a time.
    const std::string whole = gguf().bytes();
    for (size_t at = 0; at < whole.size(); ++at) {
        std::string changed = whole;
        changed[at] = '\xFF';
        const Result<Vocabulary> loaded = load_gguf(changed);  // an error or not, but no crash
        if (loaded) {
            EXPECT_LE(loaded->size(), kPieces.size());
        }
    }
    std::string many = R"({"<unk>":0)";
    many += R"(,"a":1048574})";
    const Result<Vocabulary> loaded = load_json(json_with(many, "[]"));
    ASSERT_TRUE(loaded) << loaded.error().message();
    EXPECT_EQ(loaded->size(), kMaxVocabularySize);
}

}  // namespace
}  // namespace gemlet::test
