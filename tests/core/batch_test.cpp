// Batches on made-up models: what a slot computes is what a session of its own computes, whatever
// the other slots do.
#include "core/engine/batch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>

#include "tests/core/tiny_model.h"

namespace gemlet::test {
namespace {

using Rows = std::vector<PromptRow>;
using Floats = std::vector<float>;

std::span<const PromptRow> part(const Rows& rows, size_t begin, size_t end) {
    return std::span(rows).subspan(begin, end - begin);
}

Floats logits_of(const Batch& batch, size_t slot) {
    const auto logits = batch.logits(slot);
    return {logits.begin(), logits.end()};
}

class BatchTest : public testing::TestWithParam<const char*> {
  protected:
    void SetUp() override {
        const bool is_qat = std::string(GetParam()) == "qat";
        EngineOptions options = tiny_options();
        options.parallel = 4;
        options.chunk = 16;
        engine_ = open_tiny(write_directory(tree_, is_qat ? tiny_qat() : tiny_e2b()), options);
        ASSERT_NE(engine_, nullptr);
        batch_ = std::move(*Batch::create(*engine_, 4));
    }
    Status append(std::initializer_list<Turn> turns) {
        return batch_->append(std::span(turns.begin(), turns.size()));
    }
    TempTree tree_;
    std::unique_ptr<Engine> engine_;
    std::unique_ptr<Batch> batch_;
};

TEST_P(BatchTest, gives_every_slot_what_a_session_gives) {
    const Rows prompts[] = {tiny_prompt(50, 1), tiny_prompt(3, 2), tiny_prompt(31, 3),
                            tiny_prompt(16, 4)};
    // Prompts of several steps together, then a token each, then slots at different places.
    ASSERT_TRUE(append({{0, part(prompts[0], 0, 40)},
                        {1, part(prompts[1], 0, 1)},
                        {2, part(prompts[2], 0, 30)},
                        {3, part(prompts[3], 0, 9)}})
                    .ok());
    EXPECT_EQ(logits_of(*batch_, 0),
              fresh_logits(*engine_, Rows(prompts[0].begin(), prompts[0].begin() + 40)));
    EXPECT_EQ(logits_of(*batch_, 1), fresh_logits(*engine_, {prompts[1][0]}));
    ASSERT_TRUE(append({{2, part(prompts[2], 30, 31)},
                        {0, part(prompts[0], 40, 41)},
                        {1, part(prompts[1], 1, 2)},
                        {3, part(prompts[3], 9, 10)}})
                    .ok());
    EXPECT_EQ(logits_of(*batch_, 2), fresh_logits(*engine_, prompts[2]));
    ASSERT_TRUE(append({{1, part(prompts[1], 2, 3)},
                        {0, part(prompts[0], 41, 50)},
                        {3, part(prompts[3], 10, 16)}})
                    .ok());
    EXPECT_EQ(logits_of(*batch_, 0), fresh_logits(*engine_, prompts[0]));
    EXPECT_EQ(logits_of(*batch_, 1), fresh_logits(*engine_, prompts[1]));
    EXPECT_EQ(logits_of(*batch_, 3), fresh_logits(*engine_, prompts[3]));
    EXPECT_TRUE(batch_->logits(2).empty()) << "it had no turn";
}

TEST_P(BatchTest, finds_the_same_largest_when_only_that_is_read) {
    const Rows prompts[] = {tiny_prompt(20, 7), tiny_prompt(9, 8)};
    ASSERT_TRUE(append({{0, prompts[0], true, 1}, {1, prompts[1], true, 1}}).ok());
    for (size_t slot = 0; slot < 2; ++slot) {
        const Floats some = logits_of(*batch_, slot);
        const Floats all = fresh_logits(*engine_, prompts[slot]);
        const auto largest = std::ranges::max_element(all);
        EXPECT_EQ(*std::ranges::max_element(some), *largest);
        EXPECT_EQ(std::ranges::max_element(some) - some.begin(), largest - all.begin());
    }
}

TEST_P(BatchTest, computes_a_part_of_a_prompt_beside_the_others_tokens) {
    const Rows prompt = tiny_prompt(40, 5);
    const Rows other = tiny_prompt(8, 6);
    for (size_t at = 0; at < 40; at += 8) {
        ASSERT_TRUE(append({{3, part(prompt, at, at + 8), at + 8 == 40},
                            {0, part(other, at / 8, at / 8 + 1)}})
                        .ok());
        EXPECT_EQ(batch_->logits(3).empty(), at + 8 != 40);
        EXPECT_FALSE(batch_->logits(0).empty());
    }
    EXPECT_EQ(logits_of(*batch_, 3), fresh_logits(*engine_, prompt));
    EXPECT_EQ(batch_->size(3), 40U);
    EXPECT_EQ(batch_->size(0), 5U);
}

TEST_P(BatchTest, forgets_one_slot_and_keeps_the_others) {
    const Rows a = tiny_prompt(12, 7);
    const Rows b = tiny_prompt(12, 8);
    ASSERT_TRUE(append({{0, a}, {1, part(b, 0, 6)}}).ok());
    ASSERT_TRUE(batch_->truncate(0, 0).ok());
    EXPECT_TRUE(batch_->logits(0).empty());
    ASSERT_TRUE(append({{0, b}, {1, part(b, 6, 12)}}).ok());
    EXPECT_EQ(logits_of(*batch_, 0), logits_of(*batch_, 1));
    EXPECT_FALSE(batch_->truncate(1, 13).ok());
    EXPECT_FALSE(batch_->truncate(4, 0).ok());
}

TEST_P(BatchTest, copies_what_a_slot_holds) {
    const Rows a = tiny_prompt(40, 9);
    Rows other(a.begin(), a.begin() + 36);
    other.push_back(tiny_prompt(1, 10)[0]);
    ASSERT_TRUE(append({{0, a}, {2, part(a, 0, 5)}}).ok());
    ASSERT_TRUE(batch_->copy(0, 2, 36).ok());
    EXPECT_EQ(batch_->size(2), 36U);
    // Both go on, each on its own.
    ASSERT_TRUE(append({{2, part(other, 36, 37)}, {0, part(other, 36, 37)}}).ok());
    EXPECT_EQ(logits_of(*batch_, 2), fresh_logits(*engine_, other));
    Rows longer = a;
    longer.push_back(other.back());
    EXPECT_EQ(logits_of(*batch_, 0), fresh_logits(*engine_, longer));
    EXPECT_FALSE(batch_->copy(0, 0, 1).ok());
    EXPECT_FALSE(batch_->copy(0, 4, 1).ok());
    EXPECT_FALSE(batch_->copy(0, 1, 42).ok());
    EXPECT_EQ(batch_->size(1), 0U);
}

TEST_P(BatchTest, refuses_a_turn_and_appends_none) {
    const Rows rows = tiny_prompt(10);
    Rows broken = rows;
    broken[9].token = -1;
    const Rows long_rows = tiny_prompt(129);
    EXPECT_EQ(append({{0, rows}, {4, rows}}).code(), StatusCode::bad_argument);
    EXPECT_EQ(append({{0, rows}, {0, rows}}).code(), StatusCode::bad_argument);
    EXPECT_EQ(append({{0, rows}, {1, broken}}).code(), StatusCode::bad_argument);
    EXPECT_EQ(append({{0, rows}, {1, long_rows}}).code(), StatusCode::context_full);
    EXPECT_EQ(batch_->size(0), 0U);
    EXPECT_TRUE(append({}).ok());
}

TEST_P(BatchTest, stops_between_steps) {
    const Rows rows = tiny_prompt(60);
    std::atomic<bool> cancel = false;
    PrefillHooks hooks;
    hooks.cancel = &cancel;
    hooks.context = &cancel;
    hooks.progress = [](void* flag, size_t, size_t) {
        static_cast<std::atomic<bool>*>(flag)->store(true);
    };
    const Turn turn{2, rows};
    EXPECT_EQ(batch_->append({&turn, 1}, hooks).code(), StatusCode::cancelled);
    EXPECT_EQ(batch_->size(2), 16U);
    EXPECT_TRUE(append({{2, part(rows, 16, 60)}}).ok());
    EXPECT_EQ(logits_of(*batch_, 2), fresh_logits(*engine_, rows));
}

TEST_P(BatchTest, has_no_more_slots_than_planned) {
    EXPECT_EQ(Batch::create(*engine_, 5).error().code(), StatusCode::bad_argument);
    EXPECT_EQ(Batch::create(*engine_, 0).error().code(), StatusCode::bad_argument);
}

INSTANTIATE_TEST_SUITE_P(models, BatchTest, testing::Values("e2b", "qat"));

}  // namespace
}  // namespace gemlet::test
