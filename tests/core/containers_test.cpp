// One model in every container and float type: the logits must be the same bits, because the
// weights are the same numbers.
#include <gtest/gtest.h>

#include "tests/core/tiny_model.h"

namespace gemlet::test {
namespace {

std::vector<float> logits_from(const std::string& path) {
    const auto engine = open_tiny(path);
    return engine != nullptr ? fresh_logits(*engine, tiny_prompt(40)) : std::vector<float>();
}

class Containers : public testing::TestWithParam<const char*> {
  protected:
    static TinyModel model() { return GetParam() == std::string("moe") ? tiny_moe() : tiny_e2b(); }
    void expect_same(const std::string& path) const {
        const auto logits = logits_from(path);
        ASSERT_EQ(logits.size(), kTinyVocab);
        EXPECT_EQ(logits, expected_);
    }
    TempTree tree_;
    std::vector<float> expected_ = logits_from(write_directory(tree_, model(), "single"));
};

TEST_P(Containers, shards) { expect_same(write_directory(tree_, model(), "sharded", 3)); }
TEST_P(Containers, f16) { expect_same(write_directory(tree_, with_type(model(), "F16"), "f16")); }
TEST_P(Containers, f32) { expect_same(write_directory(tree_, with_type(model(), "F32"), "f32")); }
TEST_P(Containers, gguf) { expect_same(write_gguf(tree_, model())); }
TEST_P(Containers, gguf_f16) { expect_same(write_gguf(tree_, with_type(model(), "F16"))); }
TEST_P(Containers, gguf_f32) { expect_same(write_gguf(tree_, with_type(model(), "F32"))); }

TEST_P(Containers, gguf_with_fused_projections) {
    TinyModel fused = model();
    fuse_qkv(fused);
    expect_same(write_gguf(tree_, fused));
}

TEST_P(Containers, gguf_with_split_experts) {
    if (GetParam() != std::string("moe")) GTEST_SKIP() << "no experts";
    TinyModel split = model();
    split_experts(split);
    expect_same(write_gguf(tree_, split));
}

TEST_P(Containers, an_untied_head_equal_to_the_embedding) {
    TinyModel bare = model();
    bare.tensors["lm_head.weight"] = bare.tensors["embed_tokens.weight"];
    expect_same(write_directory(tree_, bare, "untied"));
}

INSTANTIATE_TEST_SUITE_P(all, Containers, testing::Values("e2b", "moe"),
                         [](const auto& param) { return std::string(param.param); });

}  // namespace
}  // namespace gemlet::test
