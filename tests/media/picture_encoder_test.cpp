// Picture files into prompts of the small trained model, which really reads.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "frontends/media/message_media.h"
#include "frontends/text/chat_model.h"
#include "frontends/text/generate.h"
#include "tests/core/temp_tree.h"
#include "tests/media/drawn_pictures.h"

namespace gemlet {
namespace {

constexpr const char* kModel = GEMLET_SOURCE_DIR "/examples/data/gemma-4-nano";

class Pictures : public ::testing::Test {
  protected:
    void SetUp() override {
        std::string file;
        EngineOptions options;
        options.n_threads = 1;
        options.context = 1024;
        auto model = open_chat_model(kModel, options, file);
        ASSERT_TRUE(model.has_value()) << model.error().message();
        model_ = std::make_unique<ChatModel>(std::move(*model));
        auto session = Session::create(*model_->engine);
        ASSERT_TRUE(session.has_value());
        session_ = std::move(*session);
        generator_ = std::make_unique<Generator>(*session_, model_->tokenizer);
        PictureOptions pictures;
        pictures.budget = 70;
        encoder_ = std::make_unique<MediaEncoder>(*model_->engine, pictures);
        tree_.write("circle.ppm", draw_circle());
        tree_.write("triangle.ppm", draw_triangle());
    }

    Result<SharedSoftTokens> encode(const std::string& path) {
        return encoder_->encode({chat::MediaKind::image, path}, file_);
    }

    /// Asks about one picture.
    Answer ask(const std::string& path, const std::string& question) {
        const auto soft = encode(path);
        if (!soft.has_value()) {
            ADD_FAILURE() << path << ": " << soft.error().message();
            return {};
        }
        const chat::Medium medium{chat::MediaKind::image, (*soft)->n};
        Json messages = *parse_json(R"([{"role":"user","content":[{"type":"image"},)"
                                    R"({"type":"text","text":")" +
                                        question + R"("}]}])",
                                    DuplicateKeys::last_wins);
        chat::RenderOptions rendering;
        rendering.add_generation_prompt = true;
        const auto prompt = make_chat_prompt(*model_, messages, Json(), rendering, {&medium, 1});
        EXPECT_TRUE(prompt.has_value()) << prompt.error().message();
        EXPECT_EQ(prompt->runs.size(), 1U);
        const PromptMedium placed{prompt->runs[0].begin, prompt->runs[0].count,
                                  (*soft)->values.data(), (*soft)->mark};
        GenerateRequest request;
        request.prompt = prompt->ids;
        request.media = {&placed, 1};
        request.sampling.temperature = 0;
        request.start = prompt->start;
        request.on_delta = [](const chat::ResponseDelta&) {};
        auto answer = generator_->run(request);
        EXPECT_TRUE(answer.has_value()) << answer.error().message();
        return std::move(*answer);
    }

    std::unique_ptr<ChatModel> model_;
    std::unique_ptr<Session> session_;
    std::unique_ptr<Generator> generator_;
    std::unique_ptr<MediaEncoder> encoder_;
    TempTree tree_;
    const std::string circle_ = tree_.path("circle.ppm");
    const std::string triangle_ = tree_.path("triangle.ppm");
    const std::string shapes_ = "What shapes are in the picture?";
    std::string file_;
};

TEST_F(Pictures, are_read_by_the_model) {
    EXPECT_EQ(ask(circle_, shapes_).response.content, "a red circle");
    EXPECT_EQ(ask(triangle_, shapes_).response.content, "a red triangle");
#ifdef GEMLET_PNG
    EXPECT_EQ(ask(GEMLET_TEST_DATA "/media/001.png", "What is written here?").response.content,
              "ONE");
#endif
#ifdef GEMLET_JPEG
    EXPECT_EQ(ask(GEMLET_TEST_DATA "/media/024.jpg", shapes_).response.content, "a red triangle");
#endif
}

TEST_F(Pictures, are_computed_again_only_when_they_differ) {
    const Answer first = ask(circle_, shapes_);
    EXPECT_EQ(first.n_reused, 0U);
    const Answer again = ask(circle_, shapes_);
    EXPECT_EQ(again.n_reused, again.n_prompt - 1);
    EXPECT_EQ(again.response.content, first.response.content);
    // The same ids, for both have the same size, but another picture.
    const Answer other = ask(triangle_, shapes_);
    const size_t before_picture = 8;
    EXPECT_LT(other.n_reused, before_picture);
    EXPECT_EQ(other.n_prompt, first.n_prompt);
}

TEST_F(Pictures, of_the_same_content_are_encoded_once) {
    tree_.write("copy.ppm", draw_circle());
    const auto first = encode(circle_);
    const auto second = encode(tree_.path("copy.ppm"));
    ASSERT_TRUE(first.has_value() && second.has_value());
    EXPECT_EQ(*first, *second);
    EXPECT_EQ((*first)->n, 66U);
    EXPECT_EQ((*first)->values.size(), 66 * model_->engine->config().d_model);
}

TEST_F(Pictures, that_are_none_are_an_error_that_names_the_file) {
    const std::string text = std::string(kModel) + "/config.json";
    const auto soft = encode(text);
    ASSERT_FALSE(soft.has_value());
    EXPECT_EQ(file_, text);
    const auto missing = encode("/nowhere/picture.png");
    ASSERT_FALSE(missing.has_value());
    EXPECT_EQ(file_, "/nowhere/picture.png");
}

TEST(FindMmproj, takes_the_only_one_beside_the_model) {
    const auto folder =
        std::filesystem::temp_directory_path() / ("gemlet-mmproj-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder);
    const auto touch = [&](const char* name) { std::ofstream(folder / name) << 'x'; };
    const std::string model = (folder / "model.gguf").string();
    touch("model.gguf");
    EXPECT_EQ(*find_mmproj(model), "");
    touch("mmproj-model.gguf");
    EXPECT_EQ(*find_mmproj(model), (folder / "mmproj-model.gguf").string());
    touch("model-mmproj-f16.gguf");
    const auto several = find_mmproj(model);
    ASSERT_FALSE(several.has_value());
    EXPECT_EQ(several.error().code(), StatusCode::bad_argument);
    EXPECT_EQ(*find_mmproj(folder.string()), "");  // a directory brings its own
    std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace gemlet
