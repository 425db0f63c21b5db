#include <atomic>
#include <chrono>
#include <cstring>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/c_api/c_api_model.h"
#include "tests/core/temp_tree.h"
#include "tests/media/drawn_pictures.h"
#include "tests/text/count_allocations.h"

// From header_c11.c.
extern "C" gemlet_status ask_about_picture(gemlet_session* session, const void* bytes,
                                           size_t n_bytes, const char* text, size_t text_bytes);

namespace gemlet::test {
namespace {

using std::string_view;

constexpr string_view kPrompt = "Reverse the words: key ball boat gold seven";
constexpr string_view kAnswer = "seven gold boat ball key";

struct Collected {
    std::string content;
    std::string reasoning;
    std::vector<std::string> calls;
    size_t n_deltas = 0;
    size_t n_wanted = SIZE_MAX;
};

int collect(void* user, gemlet_delta_kind kind, const char* text, size_t text_bytes) {
    auto& to = *static_cast<Collected*>(user);
    if (kind == GEMLET_DELTA_CONTENT) to.content.append(text, text_bytes);
    if (kind == GEMLET_DELTA_REASONING) to.reasoning.append(text, text_bytes);
    if (kind == GEMLET_DELTA_TOOL_CALL) to.calls.emplace_back(text, text_bytes);
    return ++to.n_deltas >= to.n_wanted ? 1 : 0;
}

gemlet_chat_options options_for(Collected& collected) {
    gemlet_chat_options options = {};
    options.size = sizeof(options);
    options.on_delta = collect;
    options.user = &collected;
    return options;
}

gemlet_answer empty_answer() {
    gemlet_answer answer = {};
    answer.size = sizeof(answer);
    return answer;
}

gemlet_status chat(gemlet_session* session, string_view json,
                   const gemlet_chat_options* options = nullptr, gemlet_answer* answer = nullptr) {
    return gemlet_session_chat(session, json.data(), json.size(), options, answer);
}

gemlet_status ask(gemlet_session* session, string_view text,
                  const gemlet_chat_options* options = nullptr, gemlet_answer* answer = nullptr) {
    return gemlet_session_ask(session, text.data(), text.size(), options, answer);
}

TEST_F(CApi, answers) {
    Collected collected;
    const gemlet_chat_options options = options_for(collected);
    gemlet_answer answer = empty_answer();
    ASSERT_EQ(ask(session_, kPrompt, &options, &answer), GEMLET_OK)
        << gemlet_session_error(session_);
    EXPECT_EQ(collected.content, kAnswer);
    EXPECT_GT(collected.n_deltas, 1U);
    EXPECT_EQ(answer.finish, GEMLET_FINISH_STOP);
    EXPECT_GT(answer.n_prompt, 0U);
    EXPECT_EQ(answer.n_reused, 0U);
    EXPECT_GT(answer.n_completion, 0U);
    EXPECT_GT(answer.prefill_ns, 0);
    EXPECT_GT(answer.decode_ns, 0);
    const char* json = nullptr;
    size_t n = 0;
    ASSERT_EQ(gemlet_session_answer(session_, &json, &n), GEMLET_OK);
    EXPECT_EQ(string_view(json, n),
              R"({"reasoning_content":null,"content":"seven gold boat ball key",)"
              R"("tool_calls":[],"finish_reason":"stop"})");
}

TEST_F(CApi, reuses_what_it_knows_and_gives_the_same_answer) {
    gemlet_answer first = empty_answer();
    ASSERT_EQ(ask(session_, kPrompt, nullptr, &first), GEMLET_OK);
    Collected collected;
    const gemlet_chat_options options = options_for(collected);
    gemlet_answer second = empty_answer();
    const std::string json = R"([{"role": "user", "content": ")" + std::string(kPrompt) + R"("}])";
    ASSERT_EQ(chat(session_, json, &options, &second), GEMLET_OK);
    EXPECT_EQ(collected.content, kAnswer);
    EXPECT_EQ(second.n_prompt, first.n_prompt);
    EXPECT_EQ(second.n_reused, first.n_prompt - 1);
    // Not after somebody else has appended.
    ASSERT_EQ(gemlet_session_reset(session_), GEMLET_OK);
    const int32_t id = 5;
    ASSERT_EQ(gemlet_session_append(session_, &id, 1), GEMLET_OK);
    ASSERT_EQ(ask(session_, kPrompt, nullptr, &second), GEMLET_OK);
    EXPECT_EQ(second.n_reused, 0U);
}

TEST_F(CApi, calls_tools) {
    Collected collected;
    const gemlet_chat_options options = options_for(collected);
    gemlet_answer answer = empty_answer();
    const string_view request = R"({"messages": [
        {"role": "user", "content": "What is the weather in Paris?"}],
        "tools": [{"type": "function", "function": {"name": "get_weather",
        "description": "Returns the weather of a city.", "parameters": {"type": "object",
        "properties": {"city": {"type": "string"}}, "required": ["city"]}}}],
        "flags": {"enable_thinking": false}})";
    ASSERT_EQ(chat(session_, request, &options, &answer), GEMLET_OK)
        << gemlet_session_error(session_);
    ASSERT_EQ(collected.calls.size(), 1U) << collected.content;
    EXPECT_EQ(collected.calls[0], R"({"type":"function","function":{"name":"get_weather",)"
                                  R"("arguments":"{\"city\":\"Paris\"}"}})");
    EXPECT_EQ(answer.finish, GEMLET_FINISH_TOOL_CALLS);
}

TEST_F(CApi, stops_where_it_is_told_to) {
    Collected collected;
    gemlet_chat_options options = options_for(collected);
    gemlet_answer answer = empty_answer();
    options.max_tokens = 2;
    ASSERT_EQ(ask(session_, kPrompt, &options, &answer), GEMLET_OK);
    EXPECT_EQ(answer.finish, GEMLET_FINISH_LENGTH);
    EXPECT_EQ(answer.n_completion, 2U);

    collected = Collected();
    collected.n_wanted = 1;
    options.max_tokens = 0;
    ASSERT_EQ(ask(session_, kPrompt, &options, &answer), GEMLET_OK);
    EXPECT_EQ(answer.finish, GEMLET_FINISH_CANCELLED);
    EXPECT_EQ(collected.n_deltas, 1U);
    // The next answer is not concerned.
    collected = Collected();
    ASSERT_EQ(ask(session_, kPrompt, &options, &answer), GEMLET_OK);
    EXPECT_EQ(collected.content, kAnswer);
}

TEST_F(CApi, another_thread_can_cancel) {
    struct Shared {
        gemlet_session* session;
        std::atomic<bool> begun{false};
        std::atomic<bool> cancelled{false};
    } shared{session_};
    std::thread other([&] {
        while (!shared.begun) std::this_thread::yield();
        gemlet_session_cancel(shared.session);
        shared.cancelled = true;
    });
    gemlet_chat_options options = {};
    options.size = sizeof(options);
    options.user = &shared;
    options.on_delta = [](void* user, gemlet_delta_kind, const char*, size_t) {
        auto& state = *static_cast<Shared*>(user);
        state.begun = true;
        while (!state.cancelled) std::this_thread::yield();
        return 0;
    };
    gemlet_answer answer = empty_answer();
    EXPECT_EQ(ask(session_, kPrompt, &options, &answer), GEMLET_OK);
    other.join();
    EXPECT_EQ(answer.finish, GEMLET_FINISH_CANCELLED);
}

TEST_F(CApi, refuses_bad_requests_with_a_reason) {
    const auto refuses = [&](string_view json, gemlet_status expected) {
        EXPECT_EQ(chat(session_, json), expected) << json;
        EXPECT_STRNE(gemlet_session_error(session_), "") << json;
    };
    refuses("", GEMLET_BAD_ARGUMENT);
    refuses("{", GEMLET_BAD_ARGUMENT);
    refuses("3", GEMLET_BAD_ARGUMENT);
    refuses("{}", GEMLET_BAD_ARGUMENT);
    refuses(R"({"messages": 3})", GEMLET_BAD_ARGUMENT);
    refuses(R"({"messages": [{"role": "user", "content": "a"}], "tools": {}})",
            GEMLET_BAD_ARGUMENT);
    refuses("[3]", GEMLET_BAD_ARGUMENT);
    refuses(R"([{"role": "user", "content": [{"type": "image"}]}])", GEMLET_UNSUPPORTED);
    refuses(std::string(100000, '['), GEMLET_BAD_ARGUMENT);
    EXPECT_EQ(gemlet_session_chat(session_, nullptr, 5, nullptr, nullptr), GEMLET_BAD_ARGUMENT);
    EXPECT_EQ(ask(session_, "\xC3"), GEMLET_BAD_ARGUMENT);
    std::string long_text;
    for (int i = 0; i < 1000; ++i) long_text += "boat ";
    EXPECT_EQ(ask(session_, long_text), GEMLET_CONTEXT_FULL);
    gemlet_answer without_size = {};
    EXPECT_EQ(ask(session_, kPrompt, nullptr, &without_size), GEMLET_BAD_ARGUMENT);
    const char* json = nullptr;
    size_t n = 0;
    EXPECT_EQ(gemlet_session_answer(session_, &json, &n), GEMLET_BAD_ARGUMENT);
    // None of this does harm.
    EXPECT_EQ(ask(session_, kPrompt), GEMLET_OK);
    EXPECT_STREQ(gemlet_session_error(session_), "");
}

TEST_F(CApi, checks_sampling) {
    gemlet_sampling sampling = {};
    sampling.size = sizeof(sampling);
    ASSERT_EQ(gemlet_session_get_sampling(session_, &sampling), GEMLET_OK);
    EXPECT_EQ(sampling.temperature, 0.0F);
    sampling.temperature = -1;
    EXPECT_EQ(gemlet_session_set_sampling(session_, &sampling), GEMLET_BAD_ARGUMENT);
    EXPECT_EQ(gemlet_session_set_sampling(session_, nullptr), GEMLET_BAD_ARGUMENT);
    ASSERT_EQ(gemlet_session_get_sampling(session_, &sampling), GEMLET_OK);
    EXPECT_EQ(sampling.temperature, 0.0F);
}

TEST_F(CApi, the_same_seed_gives_the_same_answer) {
    gemlet_sampling sampling = {};
    sampling.size = sizeof(sampling);
    ASSERT_EQ(gemlet_session_get_sampling(session_, &sampling), GEMLET_OK);
    sampling.temperature = 2;
    sampling.seed = 7;
    ASSERT_EQ(gemlet_session_set_sampling(session_, &sampling), GEMLET_OK);
    Collected first;
    Collected second;
    gemlet_chat_options options = options_for(first);
    options.max_tokens = 20;
    ASSERT_EQ(ask(session_, "Tell me.", &options), GEMLET_OK);
    options.user = &second;
    ASSERT_EQ(ask(session_, "Tell me.", &options), GEMLET_OK);
    EXPECT_EQ(first.content, second.content);
}

std::vector<int32_t> rendered_prompt(const gemlet_model* model) {
    const std::string text =
        "<bos><|turn>user\n" + std::string(kPrompt) + "<turn|>\n<|turn>model\n";
    std::vector<int32_t> ids(64);
    size_t n = 0;
    EXPECT_EQ(gemlet_tokenize(model, text.data(), text.size(), 1, ids.data(), ids.size(), &n),
              GEMLET_OK);
    ids.resize(n);
    return ids;
}

TEST_F(CApi, single_steps_give_the_same_answer_and_allocate_nothing) {
    const std::vector<int32_t> prompt = rendered_prompt(model_);
    const float* logits = nullptr;
    size_t n_logits = 0;
    int32_t id = 0;
    EXPECT_EQ(gemlet_session_logits(session_, &logits, &n_logits), GEMLET_BAD_ARGUMENT);
    EXPECT_EQ(gemlet_session_sample(session_, &id), GEMLET_BAD_ARGUMENT);
    ASSERT_EQ(gemlet_session_append(session_, prompt.data(), prompt.size()), GEMLET_OK);
    ASSERT_EQ(gemlet_session_sample(session_, &id), GEMLET_OK);

    std::string text;
    text.reserve(1000);
    const size_t before = n_allocations();
    while (gemlet_token_is_stop(model_, id) == 0 && text.size() < 100) {
        const char* bytes = nullptr;
        size_t n = 0;
        ASSERT_EQ(gemlet_token_bytes(model_, id, &bytes, &n), GEMLET_OK);
        text.append(bytes, n);
        ASSERT_EQ(gemlet_session_append(session_, &id, 1), GEMLET_OK);
        ASSERT_EQ(gemlet_session_logits(session_, &logits, &n_logits), GEMLET_OK);
        ASSERT_EQ(gemlet_session_sample(session_, &id), GEMLET_OK);
    }
    EXPECT_EQ(n_allocations(), before);
    EXPECT_EQ(text, kAnswer);
    gemlet_facts facts = {};
    facts.size = sizeof(facts);
    ASSERT_EQ(gemlet_model_facts(model_, &facts), GEMLET_OK);
    EXPECT_EQ(n_logits, facts.vocab_size);

    // Back to the prompt's end but one, and once more.
    ASSERT_EQ(gemlet_session_truncate(session_, prompt.size() - 1), GEMLET_OK);
    EXPECT_EQ(gemlet_session_size(session_), prompt.size() - 1);
    EXPECT_EQ(gemlet_session_logits(session_, &logits, &n_logits), GEMLET_BAD_ARGUMENT);
    ASSERT_EQ(gemlet_session_append(session_, &prompt.back(), 1), GEMLET_OK);
    ASSERT_EQ(gemlet_session_sample(session_, &id), GEMLET_OK);
    const char* bytes = nullptr;
    size_t n = 0;
    ASSERT_EQ(gemlet_token_bytes(model_, id, &bytes, &n), GEMLET_OK);
    EXPECT_EQ(kAnswer.substr(0, n), string_view(bytes, n));
}

TEST_F(CApi, a_full_context_is_a_status) {
    const std::vector<int32_t> ids(kContext + 1, 5);
    EXPECT_EQ(gemlet_session_append(session_, ids.data(), ids.size()), GEMLET_CONTEXT_FULL);
    EXPECT_EQ(gemlet_session_append(session_, ids.data(), SIZE_MAX), GEMLET_CONTEXT_FULL);
    EXPECT_EQ(gemlet_session_size(session_), 0U);
    EXPECT_EQ(gemlet_session_append(session_, ids.data(), kContext), GEMLET_OK);
    EXPECT_EQ(gemlet_session_append(session_, ids.data(), 1), GEMLET_CONTEXT_FULL);
    EXPECT_EQ(gemlet_session_append(session_, nullptr, 0), GEMLET_OK);
    EXPECT_EQ(gemlet_session_append(session_, nullptr, 1), GEMLET_BAD_ARGUMENT);
    EXPECT_EQ(gemlet_session_truncate(session_, kContext + 1), GEMLET_BAD_ARGUMENT);
}

constexpr string_view kShapes = "What shapes are in the picture?";

gemlet_media picture_file(const std::string& path) {
    gemlet_media media = {};
    media.size = sizeof(media);
    media.kind = GEMLET_MEDIA_IMAGE;
    media.path = path.data();
    media.path_bytes = path.size();
    return media;
}

std::string content_of(gemlet_session* session) {
    const char* json = nullptr;
    size_t n = 0;
    if (gemlet_session_answer(session, &json, &n) != GEMLET_OK) return {};
    const std::string text(json, n);
    const std::string key = R"("content":")";
    const size_t from = text.find(key) + key.size();
    return text.substr(from, text.find('"', from) - from);
}

TEST_F(CApi, sees_pictures_from_memory_and_files) {
    const std::string bytes = draw_circle();
    ASSERT_EQ(
        ask_about_picture(session_, bytes.data(), bytes.size(), kShapes.data(), kShapes.size()),
        GEMLET_OK)
        << gemlet_session_error(session_);
    EXPECT_EQ(content_of(session_), "a red circle");
    // The same content from a file, in a request with parts: nothing is computed again.
    const TempTree tree;
    tree.write("circle.ppm", bytes);
    tree.write("triangle.ppm", draw_triangle());
    const std::string paths[] = {tree.path("circle.ppm"), tree.path("triangle.ppm")};
    const gemlet_media both[] = {picture_file(paths[0]), picture_file(paths[1])};
    gemlet_chat_options options = {};
    options.size = sizeof(options);
    options.media = both;
    options.n_media = 1;
    gemlet_answer answer = empty_answer();
    const std::string question =
        R"({"role":"user","content":[{"type":"image"},{"type":"text","text":")" +
        std::string(kShapes) + R"("}]})";
    ASSERT_EQ(chat(session_, "[" + question + "]", &options, &answer), GEMLET_OK)
        << gemlet_session_error(session_);
    EXPECT_EQ(answer.n_reused, answer.n_prompt - 1);
    EXPECT_EQ(content_of(session_), "a red circle");
    options.n_media = 2;
    const std::string both_turns =
        "[" + question + R"(,{"role":"assistant","content":"a red circle"},)" + question + "]";
    ASSERT_EQ(chat(session_, both_turns, &options, &answer), GEMLET_OK)
        << gemlet_session_error(session_);
    EXPECT_GT(answer.n_reused, 70U);
    EXPECT_EQ(content_of(session_), "a red triangle");
}

TEST_F(CApi, refuses_media_that_are_none) {
    const TempTree tree;
    const std::string bytes = draw_circle();
    tree.write("circle.ppm", bytes);
    const std::string path = tree.path("circle.ppm");
    const auto refuses = [&](const gemlet_media& media, gemlet_status status, string_view part) {
        gemlet_chat_options options = {};
        options.size = sizeof(options);
        options.media = &media;
        options.n_media = 1;
        EXPECT_EQ(ask(session_, kShapes, &options), status) << gemlet_session_error(session_);
        EXPECT_NE(string_view(gemlet_session_error(session_)).find(part), string_view::npos)
            << gemlet_session_error(session_);
    };
    gemlet_media media = picture_file(path);
    media.size = 0;
    refuses(media, GEMLET_BAD_ARGUMENT, "size");
    media = picture_file(path);
    media.path_bytes = 0;
    refuses(media, GEMLET_BAD_ARGUMENT, "neither bytes nor a path");
    media = picture_file(path);
    media.kind = static_cast<gemlet_media_kind>(0);
    refuses(media, GEMLET_BAD_ARGUMENT, "kind");
    media = picture_file(path);
    media.path = nullptr;
    media.bytes = bytes.data();
    media.n_bytes = bytes.size() / 2;
    refuses(media, GEMLET_CORRUPT, "");
    media.n_bytes = 0;
    refuses(media, GEMLET_CORRUPT, "no bytes");
    media.n_bytes = bytes.size();
    media.kind = GEMLET_MEDIA_VIDEO;
    refuses(media, GEMLET_UNSUPPORTED, "files only");
    const std::string text = kNano + "/config.json";
    media = picture_file(path);
    media.path = text.data();
    media.path_bytes = text.size();
    refuses(media, GEMLET_UNSUPPORTED, "config.json: not a picture");
    gemlet_chat_options options = {};
    options.size = sizeof(options);
    media = picture_file(path);
    options.media = &media;
    options.n_media = 1;
    EXPECT_EQ(chat(session_, R"([{"role":"user","content":"x"}])", &options), GEMLET_BAD_ARGUMENT);
    options.media = nullptr;
    EXPECT_EQ(ask(session_, kShapes, &options), GEMLET_BAD_ARGUMENT);
    EXPECT_EQ(ask(session_, kPrompt), GEMLET_OK);  // the session is as good as before
}

}  // namespace
}  // namespace gemlet::test
