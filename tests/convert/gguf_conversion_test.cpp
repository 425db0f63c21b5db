// Made-up models become GGUF files that open and give nearly the same logits.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "quant/convert/quantize.h"
#include "tests/core/tiny_model.h"

namespace gemlet {
namespace {

using test::open_tiny;

GgufVocabulary vocabulary() {
    GgufVocabulary out;
    for (size_t i = 0; i < test::kTinyVocab; ++i) {
        out.tokens.push_back("t" + std::to_string(i));
        out.types.push_back(1);
    }
    return out;
}

std::vector<float> logits_of(const std::string& path) {
    const std::unique_ptr<Engine> engine = open_tiny(path);
    if (engine == nullptr) return {};
    const std::unique_ptr<Session> session = test::tiny_session(*engine);
    EXPECT_TRUE(session->append(test::tiny_prompt(12)).ok());
    const std::span<const float> logits = session->logits();
    return {logits.begin(), logits.end()};
}

std::vector<CalibrationPrompt> prompts() {
    std::vector<CalibrationPrompt> out(3);
    for (uint32_t seed = 0; seed < 3; ++seed) {
        for (const PromptRow& row : test::tiny_prompt(20 + seed, seed + 1)) {
            out[seed].ids.push_back(row.token);
        }
    }
    return out;
}

Result<QuantizeReport> convert(const std::string& source, const std::string& path,
                               const char* scheme, Method method) {
    Result<Checkpoint> checkpoint = Checkpoint::open(source);
    GEMLET_TRY(checkpoint);
    QuantizeOptions options;
    options.scheme = *scheme_from_name(scheme);
    options.method = method;
    options.n_threads = 2;
    const GgufVocabulary words = vocabulary();
    return quantize_to_gguf(*checkpoint, path, options, prompts(), &words);
}

double distance(const std::vector<float>& a, const std::vector<float>& b) {
    double worst = 0;
    for (size_t i = 0; i < a.size(); ++i) {
        worst = std::max(worst, static_cast<double>(std::fabs(a[i] - b[i])));
    }
    return worst;
}

TEST(GgufConversion, keeps_what_a_model_says) {
    const TempTree tree;
    const std::string sources[] = {test::write_directory(tree, test::tiny_e2b(), "e2b"),
                                   test::write_gguf(tree, test::tiny_e2b(), "e2b.gguf"),
                                   test::write_directory(tree, test::tiny_moe(), "moe")};
    for (const std::string& source : sources) {
        const std::vector<float> wanted = logits_of(source);
        for (const Method method : {Method::round, Method::search, Method::gptq}) {
            const std::string path = tree.path("out.gguf");
            const Result<QuantizeReport> report = convert(source, path, "gguf:q8_0", method);
            if (report.error().code() == StatusCode::unsupported && method == Method::gptq)
                continue;
            ASSERT_TRUE(report.has_value()) << source << ": " << report.error().message();
            EXPECT_EQ(report->bytes, std::filesystem::file_size(path));
            const std::vector<float> got = logits_of(path);
            ASSERT_EQ(got.size(), wanted.size());
            // Of made-up experts the router may choose another one at the least change.
            const double bound = source.ends_with("moe") ? 1.5 : 0.25;
            EXPECT_LT(distance(got, wanted), bound) << source;
        }
    }
}

TEST(GgufConversion, every_scheme_opens) {
    const TempTree tree;
    const std::string source = test::write_directory(tree, test::tiny_e2b());
    for (const char* scheme : {"gguf:q6_k", "gguf:q5_k", "gguf:q4_k", "gguf:q4_0", "gguf:iq4_nl",
                               "gguf:iq4_xs", "gguf:q3_k", "gguf:q2_k"}) {
        const std::string path = tree.path("out.gguf");
        ASSERT_TRUE(convert(source, path, scheme, Method::search).has_value()) << scheme;
        EXPECT_EQ(logits_of(path).size(), test::kTinyVocab) << scheme;
    }
    EXPECT_FALSE(scheme_from_name("gguf:q9_9").has_value());
}

TEST(GgufConversion, refuses_what_it_cannot_do) {
    const TempTree tree;
    const std::string qat = test::write_directory(tree, test::tiny_qat());
    EXPECT_EQ(convert(qat, tree.path("a"), "gguf:q4_0", Method::round).error().code(),
              StatusCode::unsupported);
    const std::string source = test::write_directory(tree, test::tiny_e2b(), "e2b");
    EXPECT_EQ(convert(source, tree.path("no/b"), "gguf:q4_0", Method::round).error().code(),
              StatusCode::not_found);
    Result<Checkpoint> checkpoint = Checkpoint::open(source);
    ASSERT_TRUE(checkpoint.has_value());
    QuantizeOptions options;
    options.scheme = *scheme_from_name("gguf:q4_0");
    const std::atomic<bool> stop = true;
    options.cancel = &stop;
    const GgufVocabulary words = vocabulary();
    EXPECT_EQ(quantize_to_gguf(*checkpoint, tree.path("c"), options, {}, &words).error().code(),
              StatusCode::cancelled);
    EXPECT_EQ(quantize_to_gguf(*checkpoint, tree.path("c"), options, {}, nullptr).error().code(),
              StatusCode::bad_argument);
    EXPECT_FALSE(std::filesystem::exists(tree.path("c.partial")));
}

TEST(GgufConversion, resuming_gives_the_same_bytes) {
    const TempTree tree;
    const std::string source = test::write_directory(tree, test::tiny_e2b());
    ASSERT_TRUE(convert(source, tree.path("whole"), "gguf:q4_0", Method::search).has_value());
    Result<Checkpoint> checkpoint = Checkpoint::open(source);
    ASSERT_TRUE(checkpoint.has_value());
    QuantizeOptions options;
    options.scheme = *scheme_from_name("gguf:q4_0");
    options.n_threads = 2;
    options.resume = true;
    std::atomic<bool> stop = false;
    options.cancel = &stop;
    options.context = &stop;
    options.progress = [](void* context, size_t done, size_t total) {
        if (done > total / 2) *static_cast<std::atomic<bool>*>(context) = true;
    };
    const GgufVocabulary words = vocabulary();
    const std::string path = tree.path("resumed");
    EXPECT_EQ(quantize_to_gguf(*checkpoint, path, options, prompts(), &words).error().code(),
              StatusCode::cancelled);
    EXPECT_TRUE(std::filesystem::exists(path + ".partial"));
    options.cancel = nullptr;
    options.progress = nullptr;
    ASSERT_TRUE(quantize_to_gguf(*checkpoint, path, options, prompts(), &words).has_value());
    const auto bytes = [](const std::string& name) {
        std::ifstream in(name, std::ios::binary);
        return std::string{std::istreambuf_iterator<char>(in), {}};
    };
    EXPECT_EQ(bytes(path), bytes(tree.path("whole")));
    EXPECT_FALSE(std::filesystem::exists(path + ".partial.journal"));
}

}  // namespace
}  // namespace gemlet
