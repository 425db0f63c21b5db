// Logits of every architecture and weight type against the reference implementation, for every
// instruction set, number of threads and size of steps. Tolerances are those that come with the
// reference results: with float activations 5e-3 for logits of rms 8.5; with int8 activations the
// statistics below.
#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>

#include "tests/golden/golden_data.h"
#include "tests/golden/run_model.h"

namespace gemlet::test {
namespace {

constexpr double kFloatTolerance = 5e-3;
/// One way to cut the same work.
struct Cut {
    size_t chunk;
    size_t n_threads;
};
using Cuts = std::span<const Cut>;
constexpr Cut kAllCuts[] = {{512, 2}, {512, 3}, {1, 1}, {1, 2}, {1, 3},  {3, 1},  {3, 2},
                            {3, 3},   {7, 1},   {7, 2}, {7, 3}, {32, 1}, {32, 2}, {32, 3}};
constexpr Cut kFewCuts[] = {{1, 3}, {3, 2}, {7, 3}, {32, 2}};
constexpr Cut kOneCut[] = {{7, 3}};
constexpr Cut kTwoCuts[] = {{1, 2}, {7, 3}};

class TextGolden : public testing::TestWithParam<std::tuple<GoldenModel, Isa>> {
  protected:
    void SetUp() override {
        if (!has_isa(isa())) GTEST_SKIP() << "this machine has no " << isa_name(isa());
        path_ = golden_model_path(model());
        if (path_.empty()) GTEST_SKIP() << "the large reference data is not there";
        goldens_ = std::make_unique<Goldens>(model().folder);
    }
    static const GoldenModel& model() { return std::get<0>(GetParam()); }
    static Isa isa() { return std::get<1>(GetParam()); }
    static std::string key(const char* what) { return std::string(model().variant) + "." + what; }

    RunOptions options() const {
        RunOptions out;
        out.isa = isa();
        return out;
    }
    /// Compares logits of the long prompt with those the reference kept.
    Difference compare_long(std::span<const float> logits) const {
        const auto reference = goldens_->floats(key("long_logits"));
        const auto rows = goldens_->ints(key("long_rows"));
        const size_t vocab = reference.size() / rows.size();
        return compare(pick_rows(logits, rows, vocab), reference, vocab);
    }
    Difference compare_short(std::span<const float> logits) const {
        const auto reference = goldens_->floats(key("short_logits"));
        return compare(logits, reference, reference.size() / goldens_->ints("short_ids").size());
    }
    /// The scalar kernels are slow, and what surrounds them is the same for all: few cuts do.
    static Cuts cuts(Cuts usual) { return isa() == Isa::scalar ? Cuts(kTwoCuts) : usual; }
    /// All cuts give these bits, and so does a prompt of which only the last logits are wanted.
    void expect_same_bits(RunOptions run, std::span<const int32_t> ids,
                          std::span<const float> expected, Cuts cuts) const {
        const auto last = expected.last(expected.size() / ids.size());
        for (const Cut& cut : cuts) {
            run.chunk = cut.chunk;
            run.n_threads = cut.n_threads;
            SCOPED_TRACE(describe(run));
            EXPECT_TRUE(same_bits(all_logits(path_, run, ids), expected));
            EXPECT_TRUE(same_bits(last_logits(path_, run, ids), last));
        }
    }

    std::string path_;
    std::unique_ptr<Goldens> goldens_;
};

TEST_P(TextGolden, float_activations_match_the_reference) {
    const auto ids = goldens_->ints("short_ids");
    const auto logits = all_logits(path_, options(), ids);
    EXPECT_LE(compare_short(logits).largest, kFloatTolerance);
    // Block weights are multiplied as int8 by default: there every cut is tried.
    expect_same_bits(options(), ids, logits,
                     cuts(model().is_block ? Cuts(kTwoCuts) : Cuts(kAllCuts)));
}

TEST_P(TextGolden, prompts_longer_than_the_window_match_the_reference) {
    if (isa() == Isa::scalar && model().is_block && has_isa(Isa::avx2)) {
        GTEST_SKIP() << "slow, and shown to give the same bits as avx2 below";
    }
    const auto ids = goldens_->ints("long_ids");
    const auto logits = all_logits(path_, options(), ids);
    EXPECT_LE(compare_long(logits).largest, kFloatTolerance);
    if (isa() != Isa::scalar) {
        expect_same_bits(options(), ids, logits, model().is_block ? Cuts(kOneCut) : Cuts(kFewCuts));
    }
}

TEST_P(TextGolden, float_arithmetic_is_canonical) {
    if (isa() == Isa::scalar) GTEST_SKIP() << "this is what the others are compared with";
    // For one kind of weights a prompt longer than the smaller windows and than a block of keys.
    const size_t enough = model().is_block ? 12 : 40;
    RunOptions scalar = options();
    scalar.isa = Isa::scalar;
    const auto ids = goldens_->ints("long_ids");
    const auto first = std::span(ids).first(enough);
    EXPECT_TRUE(same_bits(all_logits(path_, options(), first), all_logits(path_, scalar, first)));
}

TEST_P(TextGolden, int8_activations_stay_within_the_known_noise) {
    RunOptions run = options();
    run.in_float = false;
    run.kv = KvType::f16;
    const auto ids = goldens_->ints("short_ids");
    auto logits = all_logits(path_, run, ids);
    expect_same_bits(run, ids, logits, cuts(model().is_block ? Cuts(kAllCuts) : Cuts(kTwoCuts)));
    auto reference = goldens_->floats(key("short_logits"));
    const size_t vocab = reference.size() / ids.size();
    if (isa() != Isa::scalar || model().is_block) {
        const auto long_ids = goldens_->ints("long_ids");
        const auto long_logits = all_logits(path_, run, long_ids);
        if (isa() != Isa::scalar) expect_same_bits(run, long_ids, long_logits, kOneCut);
        const auto picked = pick_rows(long_logits, goldens_->ints(key("long_rows")), vocab);
        logits.insert(logits.end(), picked.begin(), picked.end());
        const auto long_reference = goldens_->floats(key("long_logits"));
        reference.insert(reference.end(), long_reference.begin(), long_reference.end());
    }
    const Difference difference = compare(logits, reference, vocab);
    EXPECT_EQ(difference.n_wrong_best, 0U);
    EXPECT_GE(difference.cosine, 0.995);
    // What the reference data gives for int8 activations of this model with its wide rows.
    if (std::string(model().folder) == "e2b-quant-tiny") {
        EXPECT_LE(difference.mean, 0.35);
        EXPECT_GE(difference.cosine, 0.998);
    }
}

/// Greedy continuation; stops at the first difference and returns how many ids were equal.
size_t equal_greedy_ids(Session& session, const Goldens& goldens,
                        std::span<const int32_t> expected) {
    EXPECT_TRUE(session.append(prompt_rows(goldens.ints("greedy_prompt"))).ok());
    for (size_t i = 0; i < expected.size(); ++i) {
        const auto next = static_cast<int32_t>(argmax(session.logits()));
        if (next != expected[i]) return i;
        EXPECT_TRUE(session.append(next).ok());
    }
    return expected.size();
}

TEST_P(TextGolden, greedy_decoding_gives_the_reference_ids) {
    const auto expected = goldens_->ints(key("greedy_ids"));
    const auto margins = goldens_->floats(key("greedy_margin"));
    for (const bool in_float : {true, false}) {
        SCOPED_TRACE(in_float);
        RunOptions run = options();
        run.in_float = in_float;
        run.kv = in_float ? KvType::f32 : KvType::f16;
        const auto engine = open_engine(path_, run);
        ASSERT_NE(engine, nullptr);
        const auto session = new_session(*engine);
        ASSERT_NE(session, nullptr);
        const size_t equal = equal_greedy_ids(*session, *goldens_, expected);
        // Where the reference hesitates, either of its two best ids is right, and everything after
        // it depends on which was taken.
        const float enough = in_float ? 0.05F : 0.5F;
        const auto hesitates = [enough](float margin) { return margin < enough; };
        const auto first = std::find_if(margins.begin(), margins.end(), hesitates);
        EXPECT_GE(equal, static_cast<size_t>(first - margins.begin()));
    }
}

INSTANTIATE_TEST_SUITE_P(all, TextGolden,
                         testing::Combine(testing::ValuesIn(golden_models().begin(),
                                                            golden_models().end()),
                                          testing::ValuesIn(golden_isas())),
                         [](const auto& param) {
                             return golden_name(std::get<0>(param.param)) + "_" +
                                    isa_name(std::get<1>(param.param));
                         });

}  // namespace
}  // namespace gemlet::test
