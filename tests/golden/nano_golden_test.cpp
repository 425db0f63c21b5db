// The trained model in the repository: its logits on real text, from the directory and from GGUF.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/golden/golden_data.h"
#include "tests/golden/run_model.h"

namespace gemlet::test {
namespace {

constexpr double kFloatTolerance = 5e-3;
constexpr const char* kDirectory = GEMLET_SOURCE_DIR "/examples/data/gemma-4-nano";

RunOptions fast() {
    RunOptions out;
    out.isa = has_isa(Isa::avx512vnni) ? Isa::avx512vnni
              : has_isa(Isa::avx2)     ? Isa::avx2
                                       : Isa::scalar;
    out.n_threads = 2;
    return out;
}

TEST(NanoGolden, logits_of_a_text_match_the_reference) {
    const Goldens goldens("nano");
    const auto ids = goldens.ints("text_ids");
    const auto logits = all_logits(kDirectory, fast(), ids);
    const auto last = goldens.floats("last_logits");
    const size_t vocab = last.size();
    ASSERT_EQ(logits.size(), ids.size() * vocab);
    EXPECT_LE(compare(std::span(logits).last(vocab), last, vocab).largest, kFloatTolerance);
    const auto top_ids = goldens.ints("top5_ids");
    const auto top_logits = goldens.floats("top5_logits");
    for (size_t i = 0; i < top_ids.size(); ++i) {
        const float logit = logits[i / 5 * vocab + static_cast<size_t>(top_ids[i])];
        EXPECT_NEAR(logit, top_logits[i], kFloatTolerance) << "position " << i / 5;
    }
    for (const Isa isa : golden_isas()) {
        if (!has_isa(isa)) continue;
        RunOptions run = fast();
        run.isa = isa;
        run.chunk = 48;
        const auto first = std::span(ids).first(isa == Isa::scalar ? 48 : ids.size());
        EXPECT_TRUE(same_bits(all_logits(kDirectory, run, first),
                              std::span(logits).first(first.size() * vocab)))
            << isa_name(isa);
    }
}

TEST(NanoGolden, gguf_gives_the_bits_of_the_directory) {
    const std::string gguf = shared_path("data/nano/gguf/gemma-4-nano-bf16.gguf");
    if (gguf.empty()) GTEST_SKIP() << "the large reference data is not there";
    const auto ids = Goldens("nano").ints("text_ids");
    const auto first = std::span(ids).first(200);
    EXPECT_TRUE(same_bits(all_logits(gguf, fast(), first), all_logits(kDirectory, fast(), first)));
}

TEST(NanoGolden, directories_give_the_bits_of_gguf) {
    for (const char* model : {"moe-26b-tiny", "unified-12b-tiny"}) {
        const std::string folder = shared_path(std::string("data/fixtures/") + model);
        if (folder.empty()) GTEST_SKIP() << "the large reference data is not there";
        const auto ids = Goldens(model).ints("short_ids");
        EXPECT_TRUE(same_bits(all_logits(folder + "/hf", fast(), ids),
                              all_logits(folder + "/model-bf16.gguf", fast(), ids)))
            << model;
    }
}

}  // namespace
}  // namespace gemlet::test
