// The loop from prompt to answer, with the small trained model.
#include "frontends/text/generate.h"

#include <gtest/gtest.h>

#include <string>

#include "frontends/text/text_files.h"

namespace gemlet {
namespace {

constexpr const char* kReverse =
    "<bos><|turn>user\nReverse the words: key ball boat gold seven<turn|>\n<|turn>model\n";
constexpr const char* kReversed = "seven gold boat ball key";
constexpr const char* kNext =
    "<turn|>\n<|turn>user\nReverse the words: boat key<turn|>\n<|turn>model\n";

class Generate : public ::testing::Test {
  protected:
    void SetUp() override {
        const std::string path = std::string(GEMLET_SOURCE_DIR) + "/examples/data/gemma-4-nano";
        EngineOptions options;
        options.n_threads = 1;
        options.context = 512;
        auto engine = Engine::open(path, options);
        ASSERT_TRUE(engine.has_value()) << engine.error().message();
        engine_ = std::move(*engine);
        auto files = TextFiles::open(path);
        ASSERT_TRUE(files.has_value());
        auto tokenizer = files->tokenizer();
        ASSERT_TRUE(tokenizer.has_value());
        tokenizer_ = std::make_unique<Tokenizer>(std::move(*tokenizer));
        auto session = Session::create(*engine_);
        ASSERT_TRUE(session.has_value());
        session_ = std::move(*session);
        generator_ = std::make_unique<Generator>(*session_, *tokenizer_);
    }

    Answer run(const std::string& prompt, size_t max_tokens = 0, bool raw = false) {
        const std::vector<int32_t> ids = tokenizer_->encode(prompt, true);
        GenerateRequest request;
        request.prompt = ids;
        request.sampling.temperature = 0;
        request.max_tokens = max_tokens;
        request.raw = raw;
        request.cancel = &cancel_;
        streamed_.clear();
        request.on_delta = [this](const chat::ResponseDelta& delta) {
            EXPECT_FALSE(delta.empty());
            streamed_ += delta.content;
            if (cancel_after_ != 0 && streamed_.size() >= cancel_after_) cancel_ = true;
        };
        Result<Answer> answer = generator_->run(request);
        EXPECT_TRUE(answer.has_value()) << answer.error().message();
        EXPECT_EQ(session_->size(), generator_->ids().size());
        return answer ? *answer : Answer();
    }

    std::unique_ptr<Engine> engine_;
    std::unique_ptr<Tokenizer> tokenizer_;
    std::unique_ptr<Session> session_;
    std::unique_ptr<Generator> generator_;
    std::atomic<bool> cancel_ = false;
    size_t cancel_after_ = 0;
    std::string streamed_;
};

TEST_F(Generate, streams_what_it_returns) {
    const Answer answer = run(kReverse);
    EXPECT_EQ(answer.response.content, kReversed);
    EXPECT_EQ(streamed_, kReversed);
    EXPECT_EQ(answer.end, AnswerEnd::stop_token);
    EXPECT_EQ(answer.n_reused, 0U);
    EXPECT_GT(answer.decode_tokens_per_s(), 0);
}

TEST_F(Generate, reuses_what_prompts_share_and_answers_the_same) {
    (void)run(kReverse);
    const size_t n_first = session_->size();
    const std::string second = std::string(kReverse) + kReversed + kNext;
    const Answer reused = run(second);
    EXPECT_EQ(reused.n_reused, n_first);
    const Answer again = run(second);  // the last token's logits are needed once more
    EXPECT_EQ(again.n_reused, again.n_prompt - 1);
    ASSERT_TRUE(session_->truncate(0).ok());
    generator_ = std::make_unique<Generator>(*session_, *tokenizer_);
    const Answer fresh = run(second);
    EXPECT_EQ(fresh.n_reused, 0U);
    EXPECT_EQ(fresh.response.content, reused.response.content);
    EXPECT_EQ(fresh.response.content, again.response.content);
}

TEST_F(Generate, starts_again_where_the_windows_do_not_reach_back) {
    const std::string head = kReverse;
    std::string tail;
    for (int i = 0; i < 60; ++i) tail += "key ball boat gold seven ";
    (void)run(head + tail, 8, true);
    const Answer answer = run(kReverse);
    EXPECT_EQ(answer.response.content, kReversed);
}

TEST_F(Generate, ends_at_its_limits) {
    const Answer two = run(kReverse, 2);
    EXPECT_EQ(two.end, AnswerEnd::max_tokens);
    EXPECT_EQ(two.n_completion, 2U);
    EXPECT_EQ(two.response.finish_reason, "length");
    const Answer full = run("<bos>The documentation", 0, true);
    EXPECT_EQ(full.end, AnswerEnd::context_full);
    EXPECT_EQ(session_->size(), session_->context());
    EXPECT_EQ(full.response.content, streamed_);
}

TEST_F(Generate, refuses_prompts_that_are_empty_or_too_long) {
    GenerateRequest request;
    request.on_delta = [](const chat::ResponseDelta&) {};
    EXPECT_EQ(generator_->run(request).error().code(), StatusCode::bad_argument);
    const std::vector<int32_t> ids(session_->context(), 300);
    request.prompt = ids;
    EXPECT_EQ(generator_->run(request).error().code(), StatusCode::context_full);
    request.sampling.temperature = -1;
    EXPECT_EQ(generator_->run(request).error().code(), StatusCode::bad_argument);
    EXPECT_EQ(run(kReverse).response.content, kReversed);
}

TEST_F(Generate, can_be_cancelled_and_goes_on) {
    cancel_ = true;
    const Answer nothing = run(kReverse);
    EXPECT_EQ(nothing.end, AnswerEnd::cancelled);
    EXPECT_EQ(nothing.response.content, "");
    cancel_ = false;
    cancel_after_ = 6;
    const Answer part = run(kReverse);
    EXPECT_EQ(part.end, AnswerEnd::cancelled);
    EXPECT_EQ(part.response.content, streamed_);
    EXPECT_LT(part.response.content.size(), std::string(kReversed).size());
    cancel_ = false;
    cancel_after_ = 0;
    EXPECT_EQ(run(kReverse).response.content, kReversed);
}

TEST_F(Generate, knows_where_an_answer_begins) {
    const chat::Prompt open = {{"<|channel>", true}, {"thought\n", false}};
    chat::Prompt closed = open;
    closed.push_back({"<channel|>", true});
    EXPECT_EQ(parse_start_of(open), chat::ParseStart::reasoning);
    EXPECT_EQ(parse_start_of(closed), chat::ParseStart::content);
    EXPECT_EQ(parse_start_of({}), chat::ParseStart::content);
}

}  // namespace
}  // namespace gemlet
