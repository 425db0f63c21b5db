// Sessions on made-up models: what may be appended and forgotten, and that results never depend on
// how a session came to its positions.
#include "core/engine/session.h"

#include <gtest/gtest.h>

#include <thread>

#include "core/text/kv_cache.h"
#include "tests/core/tiny_model.h"

namespace gemlet::test {
namespace {

using Rows = std::vector<PromptRow>;

Rows part(const Rows& rows, size_t begin, size_t end) {
    return {rows.begin() + static_cast<ptrdiff_t>(begin),
            rows.begin() + static_cast<ptrdiff_t>(end)};
}

class SessionTest : public testing::Test {
  protected:
    void SetUp() override {
        engine_ = open_tiny(write_directory(tree_, tiny_e2b()));
        ASSERT_NE(engine_, nullptr);
    }
    TempTree tree_;
    std::unique_ptr<Engine> engine_;
};

TEST_F(SessionTest, starts_empty) {
    const auto session = tiny_session(*engine_);
    EXPECT_EQ(session->size(), 0U);
    EXPECT_EQ(session->context(), 128U);
    EXPECT_TRUE(session->logits().empty());
    EXPECT_TRUE(session->append(Rows()).ok());
    EXPECT_EQ(session->size(), 0U);
    EXPECT_TRUE(session->logits().empty());
}

TEST_F(SessionTest, takes_the_same_prompt_in_any_pieces) {
    const Rows prompt = tiny_prompt(60);
    const auto expected = fresh_logits(*engine_, prompt);
    ASSERT_EQ(expected.size(), kTinyVocab);
    for (const size_t piece : {1, 5, 16, 17, 59}) {
        const auto session = tiny_session(*engine_);
        for (size_t at = 0; at < prompt.size(); at += piece) {
            ASSERT_TRUE(
                session->append(part(prompt, at, std::min(at + piece, prompt.size()))).ok());
        }
        EXPECT_EQ(session->size(), prompt.size());
        EXPECT_EQ(logits_of(*session), expected) << piece;
    }
}

TEST_F(SessionTest, refuses_what_does_not_fit_and_keeps_the_rest) {
    const auto session = tiny_session(*engine_);
    const Rows prompt = tiny_prompt(130);
    const Status full = session->append(prompt);
    EXPECT_EQ(full.code(), StatusCode::context_full);
    EXPECT_EQ(full.number(), 128);
    EXPECT_EQ(session->size(), 0U);
    ASSERT_TRUE(session->append(part(prompt, 0, 128)).ok());
    const auto logits = logits_of(*session);
    EXPECT_EQ(session->append(1).code(), StatusCode::context_full);
    EXPECT_EQ(session->size(), 128U);
    EXPECT_EQ(logits_of(*session), logits);
}

TEST_F(SessionTest, refuses_ids_outside_the_vocabulary) {
    const auto session = tiny_session(*engine_);
    for (const int32_t id : {-1, static_cast<int32_t>(kTinyVocab), INT32_MAX, INT32_MIN}) {
        Rows prompt = tiny_prompt(20);
        prompt[19].token = id;
        const Status status = session->append(prompt);
        EXPECT_EQ(status.code(), StatusCode::bad_argument);
        EXPECT_EQ(status.number(), id);
        EXPECT_EQ(session->size(), 0U);
        EXPECT_EQ(session->append(id).code(), StatusCode::bad_argument);
    }
}

TEST_F(SessionTest, continues_after_truncating_as_if_the_rest_had_never_been) {
    const Rows prompt = tiny_prompt(64);
    const Rows other = tiny_prompt(24, 7);
    const auto session = tiny_session(*engine_);
    ASSERT_TRUE(session->append(prompt).ok());
    for (const size_t kept : {63U, 56U, 49U}) {
        ASSERT_TRUE(session->truncate(kept).ok()) << kept;
        EXPECT_EQ(session->size(), kept);
        EXPECT_TRUE(session->logits().empty());
        ASSERT_TRUE(session->append(part(other, 0, 5)).ok());
        Rows expected = part(prompt, 0, kept);
        expected.insert(expected.end(), other.begin(), other.begin() + 5);
        EXPECT_EQ(logits_of(*session), fresh_logits(*engine_, expected)) << kept;
    }
}

TEST_F(SessionTest, truncates_as_far_as_the_windows_reach_back) {
    // A ring of n slots after 100 positions holds the last n; the first row appended needs window -
    // 1 positions before it.
    const size_t n_slots = kTinyWindow - 1 + 16 + 16;
    const size_t lowest = 100 - n_slots + kTinyWindow - 1;
    const Rows prompt = tiny_prompt(100);
    const auto session = tiny_session(*engine_);
    ASSERT_TRUE(session->append(prompt).ok());
    EXPECT_EQ(session->truncate(101).code(), StatusCode::bad_argument);
    EXPECT_EQ(session->truncate(lowest - 1).code(), StatusCode::bad_argument);
    EXPECT_EQ(session->size(), 100U);
    ASSERT_TRUE(session->truncate(lowest).ok());
    // What was overwritten stays overwritten: going back in two steps reaches no further.
    EXPECT_EQ(session->truncate(lowest - 1).code(), StatusCode::bad_argument);
    ASSERT_TRUE(session->append(part(prompt, lowest, 90)).ok());
    EXPECT_EQ(logits_of(*session), fresh_logits(*engine_, part(prompt, 0, 90)));
    ASSERT_TRUE(session->truncate(0).ok());
    ASSERT_TRUE(session->append(part(prompt, 0, 30)).ok());
    EXPECT_EQ(logits_of(*session), fresh_logits(*engine_, part(prompt, 0, 30)));
    ASSERT_TRUE(session->truncate(1).ok());
}

TEST_F(SessionTest, truncating_to_its_own_size_changes_nothing_but_the_logits) {
    const Rows prompt = tiny_prompt(40);
    const auto session = tiny_session(*engine_);
    ASSERT_TRUE(session->append(part(prompt, 0, 39)).ok());
    ASSERT_TRUE(session->truncate(39).ok());
    ASSERT_TRUE(session->append(prompt[39].token).ok());
    EXPECT_EQ(logits_of(*session), fresh_logits(*engine_, prompt));
}

struct Seen {
    std::vector<size_t> positions;
    std::vector<std::vector<float>> logits;
};

TEST_F(SessionTest, append_all_hands_out_every_row) {
    const Rows prompt = tiny_prompt(37);
    const auto session = tiny_session(*engine_);
    ASSERT_TRUE(session->append(part(prompt, 0, 5)).ok());
    Seen seen;
    const auto take = [](void* context, size_t position, std::span<const float> logits) {
        auto& out = *static_cast<Seen*>(context);
        out.positions.push_back(position);
        out.logits.emplace_back(logits.begin(), logits.end());
    };
    ASSERT_TRUE(session->append_all(part(prompt, 5, 37), {take, &seen}).ok());
    ASSERT_EQ(seen.positions.size(), 32U);
    for (size_t i = 0; i < 32; ++i) {
        EXPECT_EQ(seen.positions[i], 5 + i);
        EXPECT_EQ(seen.logits[i], fresh_logits(*engine_, part(prompt, 0, 6 + i))) << i;
    }
    EXPECT_EQ(logits_of(*session), seen.logits.back());
}

TEST_F(SessionTest, a_cancelled_prompt_keeps_the_steps_that_ran) {
    const Rows prompt = tiny_prompt(60);
    const auto session = tiny_session(*engine_);
    std::atomic<bool> cancel{false};
    PrefillHooks hooks;
    hooks.cancel = &cancel;
    hooks.context = &cancel;
    hooks.progress = [](void* context, size_t done, size_t total) {
        EXPECT_EQ(total, 60U);
        if (done >= 32) static_cast<std::atomic<bool>*>(context)->store(true);
    };
    EXPECT_EQ(session->append(prompt, hooks).code(), StatusCode::cancelled);
    EXPECT_EQ(session->size(), 32U);
    cancel = false;
    hooks.progress = nullptr;
    ASSERT_TRUE(session->append(part(prompt, 32, 60), hooks).ok());
    EXPECT_EQ(logits_of(*session), fresh_logits(*engine_, prompt));
    cancel = true;
    EXPECT_EQ(session->append(part(prompt, 0, 1), hooks).code(), StatusCode::cancelled);
    EXPECT_EQ(session->size(), 60U);
}

TEST_F(SessionTest, soft_tokens_stand_for_embeddings) {
    // A soft token is used as it is; its per-layer input is the padding token's.
    Rows prompt = tiny_prompt(20);
    const std::vector<float> soft(32, 0.25F);
    prompt[10] = {3, soft.data()};
    const auto with_soft = fresh_logits(*engine_, prompt);
    Rows in_two = part(prompt, 0, 11);
    const auto session = tiny_session(*engine_);
    ASSERT_TRUE(session->append(in_two).ok());
    ASSERT_TRUE(session->append(part(prompt, 11, 20)).ok());
    EXPECT_EQ(logits_of(*session), with_soft);
    EXPECT_NE(with_soft, fresh_logits(*engine_, tiny_prompt(20)));
}

TEST(Session, pictures_seen_both_ways_stay_in_one_step) {
    const TempTree tree;
    TinyModel model = tiny_moe();
    config_at(model.config, {"image_token_id"}) = Json::of_integer(5);
    EngineOptions options = tiny_options();
    options.max_wanted = 1;
    const std::vector<float> soft(32, 0.5F);
    Rows prompt = tiny_prompt(50);
    for (size_t i = 9; i < 31; ++i) prompt[i] = {5, soft.data()};
    std::vector<float> expected;
    for (const size_t chunk : {64, 16, 10, 1}) {
        options.chunk = chunk;
        const auto engine = open_tiny(write_directory(tree, model), options);
        ASSERT_NE(engine, nullptr);
        const auto logits = fresh_logits(*engine, prompt);
        if (expected.empty()) expected = logits;
        EXPECT_EQ(logits, expected) << chunk;
    }
}

TEST(Session, the_cache_is_of_the_type_the_checkpoint_brings_scales_for) {
    const TempTree tree;
    EngineOptions options = tiny_options();
    options.kv_type.reset();
    const auto qat = open_tiny(write_directory(tree, tiny_qat(), "qat"), options);
    const auto plain = open_tiny(write_directory(tree, tiny_e2b(), "plain"), options);
    ASSERT_TRUE(qat != nullptr && plain != nullptr);
    EXPECT_EQ(qat->options().kv_type, KvType::i8);
    EXPECT_EQ(plain->options().kv_type, KvType::f16);
}

/// One worker attends alone; four share a row's keys, which are enough after n_rows rows.
void expect_same_bits_together(KvType type, size_t n_rows) {
    const TempTree tree;
    const std::string model = write_directory(tree, tiny_e2b());
    std::vector<std::vector<float>> expected;
    for (const size_t n_threads : {1, 4}) {
        EngineOptions options = tiny_options();
        options.n_threads = n_threads;
        options.context = n_rows + 4;
        options.chunk = 256;
        options.kv_type = type;
        const auto engine = open_tiny(model, options);
        ASSERT_NE(engine, nullptr);
        const auto session = tiny_session(*engine);
        ASSERT_TRUE(session->append(tiny_prompt(n_rows)).ok());
        for (size_t i = 0; i < 4; ++i) {
            ASSERT_TRUE(session->append(static_cast<int32_t>(i)).ok());
            if (n_threads == 1) expected.push_back(logits_of(*session));
            EXPECT_EQ(logits_of(*session), expected[i]) << n_threads << " threads, token " << i;
        }
    }
}

TEST(Session, workers_who_attend_together_give_the_bits_of_one) {
    for (const KvType type : {KvType::f32, KvType::f16, KvType::i8}) {
        expect_same_bits_together(type, 300);
    }
}

TEST(Session, workers_who_attend_together_beyond_the_line_give_the_bits_of_one) {
    expect_same_bits_together(KvType::i8, 2100);  // global layers in integers
}

/// Logits after a prompt and a few greedy tokens.
std::vector<float> talk(Engine& engine, uint32_t seed) {
    const auto session = tiny_session(engine);
    EXPECT_TRUE(session->append(tiny_prompt(40, seed)).ok());
    for (size_t i = 0; i < 20; ++i) {
        const auto logits = session->logits();
        const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
        EXPECT_TRUE(session->append(static_cast<int32_t>(best)).ok());
    }
    return logits_of(*session);
}

TEST(Session, sessions_in_two_threads_do_not_disturb_each_other) {
    const TempTree tree;
    EngineOptions options = tiny_options();
    options.n_threads = 2;
    const auto engine = open_tiny(write_directory(tree, tiny_moe()), options);
    ASSERT_NE(engine, nullptr);
    const auto first = talk(*engine, 1);
    const auto second = talk(*engine, 2);
    std::vector<float> other;
    std::thread thread([&] {
        for (size_t i = 0; i < 3; ++i) other = talk(*engine, 2);
    });
    for (size_t i = 0; i < 3; ++i) EXPECT_EQ(talk(*engine, 1), first);
    thread.join();
    EXPECT_EQ(other, second);
}

}  // namespace
}  // namespace gemlet::test
