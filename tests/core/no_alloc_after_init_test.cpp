// Nothing is allocated once a session exists: prefill, decode, sampling and streaming detokenizing
// are run with every allocator of the process counted.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "core/engine/batch.h"
#include "core/engine/sampler.h"
#include "frontends/text/tokenizer/detokenizer.h"
#include "tests/core/count_every_allocation.h"
#include "tests/core/tiny_model.h"

namespace gemlet::test {
namespace {

Vocabulary nano_vocabulary() {
    auto vocabulary = vocabulary_from_directory(GEMLET_SOURCE_DIR "/examples/data/gemma-4-nano");
    EXPECT_TRUE(vocabulary.has_value()) << vocabulary.error().message();
    return std::move(*vocabulary);
}

TEST(NoAllocAfterInit, the_counter_counts) {
    if (!counts_allocations()) GTEST_SKIP() << "a sanitizer keeps the allocator to itself";
    const size_t before = n_allocations();
    void* object = ::operator new(8);  // unlike a new expression, never optimised away
    void* block = std::malloc(10);     // NOLINT: what is tested
    block = std::realloc(block, 20);
    const size_t counted = n_allocations() - before;
    ::operator delete(object);
    std::free(block);  // NOLINT
    EXPECT_GE(counted, 3U);
}

class NoAllocAfterInit : public testing::TestWithParam<const char*> {};

TEST_P(NoAllocAfterInit, holds_from_the_prompt_to_the_text) {
    if (!counts_allocations()) GTEST_SKIP() << "a sanitizer keeps the allocator to itself";
    const TempTree tree;
    const std::string kind = GetParam();
    const std::string path = kind == "qat" ? GEMLET_TEST_DATA "/golden/qat/checkpoint"
                             : kind == "q4_0"
                                 ? GEMLET_TEST_DATA "/golden/e2b-tiny/q4_0.gguf"
                                 : write_directory(tree, kind == "moe" ? tiny_moe() : tiny_e2b());
    EngineOptions options = tiny_options();
    options.n_threads = 2;
    options.parallel = 2;
    options.kv_type = kind == "qat" ? KvType::i8 : KvType::f16;
    const auto engine = open_tiny(path, options);
    ASSERT_NE(engine, nullptr);
    const auto session = tiny_session(*engine);
    const auto batch = std::move(*Batch::create(*engine, 2));
    const size_t vocab = engine->config().vocab_size;
    SamplerOptions sampling;
    sampling.repetition_penalty = 1.1F;
    const int32_t suppressed[] = {0};
    Sampler sampler(vocab, sampling, suppressed);
    const Vocabulary vocabulary = nano_vocabulary();
    StreamDetokenizer detokenizer(vocabulary, false);
    const auto prompt = tiny_prompt(50);

    const size_t before = n_allocations();
    Status status = session->append(prompt);
    size_t n_bytes = 0;
    for (size_t i = 0; i < 40 && status.ok(); ++i) {
        const int32_t token = sampler.sample(session->logits());
        sampler.accept(token);
        n_bytes += detokenizer.push(token).size();
        status = session->append(token);
    }
    n_bytes += detokenizer.flush().size();
    const Status back = session->truncate(80);
    const Status more = session->append(std::span(prompt).first(20));
    const Turn turns[] = {{0, prompt}, {1, std::span(prompt).first(30)}};
    const Status together = batch->append(turns);
    const size_t counted = n_allocations() - before;

    EXPECT_EQ(counted, 0U);
    EXPECT_TRUE(together.ok()) << together.message();
    EXPECT_TRUE(status.ok()) << status.message();
    EXPECT_TRUE(back.ok()) << back.message();
    EXPECT_TRUE(more.ok()) << more.message();
    EXPECT_GT(n_bytes, 0U);
}

INSTANTIATE_TEST_SUITE_P(all, NoAllocAfterInit, testing::Values("e2b", "moe", "q4_0", "qat"),
                         [](const auto& param) { return std::string(param.param); });

}  // namespace
}  // namespace gemlet::test
