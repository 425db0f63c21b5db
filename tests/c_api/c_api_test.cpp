#include <array>
#include <cstring>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/c_api/c_api_model.h"

extern "C" gemlet_status open_from_c11(const char* path, size_t path_bytes, gemlet_model** model);
const char* version_from_cpp11();

namespace gemlet::test {
namespace {

using std::string_view;

std::vector<int32_t> ids_of(const gemlet_model* model, string_view text, bool special = false) {
    std::array<int32_t, 256> ids{};
    size_t n = 0;
    EXPECT_EQ(gemlet_tokenize(model, text.data(), text.size(), special ? 1 : 0, ids.data(),
                              ids.size(), &n),
              GEMLET_OK);
    return {ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(n)};
}

gemlet_status open_with(const std::string& path, const gemlet_model_options* options,
                        std::string& error) {
    gemlet_model* model = nullptr;
    const gemlet_status status = gemlet_model_open(path.data(), path.size(), options, &model);
    EXPECT_NE(model, nullptr);
    error = gemlet_model_error(model);
    gemlet_model_close(model);
    return status;
}

TEST(CApiHeader, serves_c11_and_cpp11) {
    EXPECT_STREQ(version_from_cpp11(), gemlet_version());
    gemlet_model* model = nullptr;
    EXPECT_EQ(open_from_c11(kNano.data(), kNano.size(), &model), GEMLET_OK);
    EXPECT_STREQ(gemlet_model_error(model), "");
    gemlet_model_close(model);
}

TEST(CApiHeader, names_every_status) {
    for (int status = GEMLET_OK; status <= GEMLET_TOO_SMALL; ++status) {
        EXPECT_STRNE(gemlet_status_text(static_cast<gemlet_status>(status)), "unknown status");
    }
    EXPECT_STREQ(gemlet_status_text(static_cast<gemlet_status>(GEMLET_TOO_SMALL + 1)),
                 "unknown status");
}

TEST(CApiOpen, says_which_file_is_at_fault) {
    std::string error;
    EXPECT_EQ(open_with("/nowhere/at/all", nullptr, error), GEMLET_NOT_FOUND);
    EXPECT_NE(error.find("/nowhere/at/all"), std::string::npos) << error;
    EXPECT_EQ(open_with("", nullptr, error), GEMLET_BAD_ARGUMENT);
    EXPECT_EQ(open_with(kNano + "/config.json", nullptr, error), GEMLET_CORRUPT) << error;
}

TEST(CApiOpen, shortens_a_long_path_at_a_character) {
    std::string path = "/";
    for (int i = 0; i < 600; ++i) path += "\xC3\xA4";
    path += "end";
    std::string error;
    EXPECT_NE(open_with(path, nullptr, error), GEMLET_OK);
    EXPECT_EQ(error.substr(0, 4), "..\xC3\xA4");
    const size_t at = error.find(
        "\xA4"
        "end: ");
    ASSERT_NE(at, std::string::npos) << error;
    EXPECT_GT(error.size(), at + 10);
}

TEST(CApiOpen, refuses_bad_options) {
    std::string error;
    gemlet_model_options options = {};
    EXPECT_EQ(open_with(kNano, &options, error), GEMLET_BAD_ARGUMENT);  // size is not set
    options.size = ~size_t{0};
    EXPECT_EQ(open_with(kNano, &options, error), GEMLET_BAD_ARGUMENT);
    options.size = sizeof(options);
    options.isa = "abacus";
    options.isa_bytes = 6;
    EXPECT_EQ(open_with(kNano, &options, error), GEMLET_BAD_ARGUMENT);
    EXPECT_NE(error.find("isa"), std::string::npos) << error;
    options.isa = nullptr;
    const int no_type = 99;
    std::memcpy(static_cast<void*>(&options.kv_type), &no_type, sizeof(no_type));
    EXPECT_EQ(open_with(kNano, &options, error), GEMLET_BAD_ARGUMENT);
    options.kv_type = GEMLET_KV_INT8;
    options.memory_limit_bytes = 1000;
    EXPECT_EQ(open_with(kNano, &options, error), GEMLET_OUT_OF_MEMORY) << error;
    EXPECT_EQ(gemlet_model_open(kNano.data(), kNano.size(), nullptr, nullptr), GEMLET_BAD_ARGUMENT);
}

// A program built with the header of another version.
TEST(CApiOpen, understands_shorter_and_longer_structures) {
    struct Longer {
        gemlet_model_options known;
        uint64_t further;
    };
    Longer longer = {};
    longer.known.size = sizeof(longer);
    longer.known.context = 64;
    std::string error;
    EXPECT_EQ(open_with(kNano, &longer.known, error), GEMLET_OK) << error;
    longer.further = 1;
    EXPECT_EQ(open_with(kNano, &longer.known, error), GEMLET_UNSUPPORTED);

    gemlet_model_options shorter = {};
    shorter.size = offsetof(gemlet_model_options, memory_limit_bytes);
    shorter.context = 64;
    shorter.memory_limit_bytes = 1;  // beyond its end
    gemlet_model* model = nullptr;
    ASSERT_EQ(gemlet_model_open(kNano.data(), kNano.size(), &shorter, &model), GEMLET_OK);
    gemlet_facts facts = {};
    facts.size = offsetof(gemlet_facts, vocab_size);
    facts.vocab_size = 12345;
    EXPECT_EQ(gemlet_model_facts(model, &facts), GEMLET_OK);
    EXPECT_EQ(facts.context, 64U);
    EXPECT_EQ(facts.vocab_size, 12345U);
    EXPECT_EQ(facts.size, offsetof(gemlet_facts, vocab_size));
    gemlet_model_close(model);
}

TEST(CApiOpen, null_and_failed_handles_do_no_harm) {
    gemlet_model_close(nullptr);
    gemlet_session_free(nullptr);
    gemlet_session_cancel(nullptr);
    EXPECT_STRNE(gemlet_model_error(nullptr), "");
    EXPECT_STRNE(gemlet_session_error(nullptr), "");
    EXPECT_EQ(gemlet_session_size(nullptr), 0U);
    EXPECT_EQ(gemlet_session_reset(nullptr), GEMLET_BAD_ARGUMENT);
    EXPECT_EQ(gemlet_token_is_stop(nullptr, 1), 0);

    gemlet_model* failed = nullptr;
    EXPECT_NE(gemlet_model_open("x", 1, nullptr, &failed), GEMLET_OK);
    size_t n = 0;
    EXPECT_EQ(gemlet_tokenize(failed, "a", 1, 0, nullptr, 0, &n), GEMLET_BAD_ARGUMENT);
    gemlet_facts facts = {};
    facts.size = sizeof(facts);
    EXPECT_EQ(gemlet_model_facts(failed, &facts), GEMLET_BAD_ARGUMENT);
    gemlet_session* session = nullptr;
    EXPECT_EQ(gemlet_session_create(failed, &session), GEMLET_BAD_ARGUMENT);
    EXPECT_STRNE(gemlet_session_error(session), "");
    EXPECT_EQ(gemlet_session_ask(session, "a", 1, nullptr, nullptr), GEMLET_BAD_ARGUMENT);
    gemlet_session_free(session);
    gemlet_model_close(failed);
}

TEST_F(CApi, tells_facts) {
    gemlet_facts facts = {};
    facts.size = sizeof(facts);
    ASSERT_EQ(gemlet_model_facts(model_, &facts), GEMLET_OK);
    EXPECT_EQ(facts.n_threads, 2U);
    EXPECT_EQ(facts.context, kContext);
    EXPECT_GT(facts.vocab_size, 1000U);
    EXPECT_EQ(facts.bos, ids_of(model_, "<bos>", true).at(0));
    EXPECT_GT(facts.memory_bytes, 0U);
    EXPECT_NE(facts.isa, nullptr);
}

TEST_F(CApi, tokenizes_and_back) {
    const string_view text = "Reverse the words: \xC3\xA4\xF0\x9F\x98\x80 <bos>";
    const std::vector<int32_t> ids = ids_of(model_, text);
    size_t n = 0;
    EXPECT_EQ(gemlet_tokenize(model_, text.data(), text.size(), 0, nullptr, 0, &n), GEMLET_OK);
    EXPECT_EQ(n, ids.size());
    std::vector<int32_t> short_buffer(ids.size() - 1, -7);
    EXPECT_EQ(gemlet_tokenize(model_, text.data(), text.size(), 0, short_buffer.data(),
                              short_buffer.size(), &n),
              GEMLET_TOO_SMALL);
    EXPECT_EQ(n, ids.size());
    EXPECT_EQ(short_buffer.front(), -7);

    std::array<char, 128> back{};
    ASSERT_EQ(gemlet_detokenize(model_, ids.data(), ids.size(), 0, back.data(), back.size(), &n),
              GEMLET_OK);
    EXPECT_EQ(string_view(back.data(), n), text);
    EXPECT_EQ(gemlet_detokenize(model_, ids.data(), ids.size(), 0, back.data(), 1, &n),
              GEMLET_TOO_SMALL);
    EXPECT_EQ(n, text.size());
    EXPECT_EQ(gemlet_tokenize(model_, nullptr, 0, 0, nullptr, 0, &n), GEMLET_OK);
    EXPECT_EQ(n, 0U);
    EXPECT_EQ(gemlet_tokenize(model_, nullptr, 1, 0, nullptr, 0, &n), GEMLET_BAD_ARGUMENT);
}

TEST_F(CApi, refuses_ids_outside_the_vocabulary) {
    for (const int32_t id : {-1, 1 << 30, INT32_MIN, INT32_MAX}) {
        size_t n = 0;
        const char* bytes = nullptr;
        EXPECT_EQ(gemlet_detokenize(model_, &id, 1, 0, nullptr, 0, &n), GEMLET_BAD_ARGUMENT);
        EXPECT_EQ(gemlet_token_bytes(model_, id, &bytes, &n), GEMLET_BAD_ARGUMENT);
        EXPECT_EQ(gemlet_token_is_stop(model_, id), 0);
        EXPECT_EQ(gemlet_session_append(session_, &id, 1), GEMLET_BAD_ARGUMENT);
    }
    EXPECT_EQ(gemlet_session_size(session_), 0U);
}

TEST_F(CApi, hands_out_a_tokens_bytes) {
    const std::vector<int32_t> ids = ids_of(model_, " boat");
    std::string text;
    for (const int32_t id : ids) {
        const char* bytes = nullptr;
        size_t n = 0;
        ASSERT_EQ(gemlet_token_bytes(model_, id, &bytes, &n), GEMLET_OK);
        text.append(bytes, n);
    }
    EXPECT_EQ(text, " boat");
    EXPECT_EQ(gemlet_token_is_stop(model_, ids[0]), 0);
    EXPECT_EQ(gemlet_token_is_stop(model_, ids_of(model_, "<turn|>", true).at(0)), 1);
}

}  // namespace
}  // namespace gemlet::test
