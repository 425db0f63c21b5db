// Made-up models in the QAT mobile layout open on the integer path and say nearly the same.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "quant/convert/mobile.h"
#include "tests/core/tiny_model.h"

namespace gemlet {
namespace {

using test::open_tiny;

std::vector<CalibrationPrompt> prompts() {
    std::vector<CalibrationPrompt> out(4);
    for (uint32_t seed = 0; seed < 4; ++seed) {
        for (const PromptRow& row : test::tiny_prompt(24, seed + 1)) {
            out[seed].ids.push_back(row.token);
        }
    }
    return out;
}

Result<QuantizeReport> convert(const std::string& source, const std::string& path,
                               const char* scheme, std::vector<CalibrationPrompt> calibration) {
    Result<Checkpoint> checkpoint = Checkpoint::open(source);
    GEMLET_TRY(checkpoint);
    QuantizeOptions options;
    options.scheme = *scheme_from_name(scheme);
    options.method = Method::search;
    options.n_threads = 2;
    return quantize_to_mobile(*checkpoint, path, options, std::move(calibration));
}

std::vector<float> logits_of(Engine& engine) {
    const std::unique_ptr<Session> session = test::tiny_session(engine);
    EXPECT_TRUE(session->append(test::tiny_prompt(12)).ok());
    const std::span<const float> logits = session->logits();
    return {logits.begin(), logits.end()};
}

double correlation(const std::vector<float>& a, const std::vector<float>& b) {
    double ab = 0;
    double aa = 0;
    double bb = 0;
    for (size_t i = 0; i < a.size(); ++i) {
        const auto x = static_cast<double>(a[i]);
        const auto y = static_cast<double>(b[i]);
        ab += x * y;
        aa += x * x;
        bb += y * y;
    }
    return ab / std::sqrt(aa * bb);
}

TEST(MobileConversion, opens_on_the_integer_path) {
    const TempTree tree;
    const std::string source = test::write_directory(tree, test::tiny_e2b());
    const std::unique_ptr<Engine> original = open_tiny(source);
    ASSERT_NE(original, nullptr);
    const std::vector<float> wanted = logits_of(*original);
    for (const char* scheme : {"mobile:w8", "mobile:w4", "mobile:w4w2"}) {
        SCOPED_TRACE(scheme);
        const std::string path = tree.path(std::string("out-") + (scheme + 7));
        const Result<QuantizeReport> report = convert(source, path, scheme, prompts());
        ASSERT_TRUE(report.has_value()) << report.error().message();
        EXPECT_EQ(report->bytes, std::filesystem::file_size(path + "/model.safetensors"));
        EXPECT_FALSE(std::filesystem::exists(path + ".partial"));
        const std::unique_ptr<Engine> engine = open_tiny(path);
        ASSERT_NE(engine, nullptr);
        EXPECT_TRUE(engine->config().is_qat);
        EXPECT_EQ(engine->facts().n_uncalibrated, 2U);  // both sides of the head
        const std::vector<float> got = logits_of(*engine);
        EXPECT_TRUE(std::ranges::all_of(got, [](float x) { return std::isfinite(x); }));
        // Random weights forgive little; eight bits must be close, fewer must not be noise.
        EXPECT_GT(correlation(got, wanted), scheme == std::string("mobile:w8") ? 0.95 : 0.3);
    }
}

/// Stops a conversion when so much of it is done.
struct Stop {
    std::atomic<bool> now = false;
    double share = 0;
};

TEST(MobileConversion, resuming_gives_the_same_bytes) {
    const TempTree tree;
    const std::string source = test::write_directory(tree, test::tiny_e2b());
    ASSERT_TRUE(convert(source, tree.path("whole"), "mobile:w4", prompts()).has_value());
    Result<Checkpoint> checkpoint = Checkpoint::open(source);
    ASSERT_TRUE(checkpoint.has_value());
    const std::string path = tree.path("resumed");
    // In a table, in the layers (which share keys and values of earlier ones) and at the end.
    for (const double share : {0.1, 0.4, 0.6, 0.8, 2.0}) {
        SCOPED_TRACE(share);
        Stop stop;
        stop.share = share;
        QuantizeOptions options;
        options.scheme = *scheme_from_name("mobile:w4");
        options.n_threads = 2;
        options.resume = true;
        options.cancel = &stop.now;
        options.context = &stop;
        options.progress = [](void* context, size_t done, size_t total) {
            Stop& at = *static_cast<Stop*>(context);
            at.now = static_cast<double>(done) > at.share * static_cast<double>(total);
        };
        const Result<QuantizeReport> report =
            quantize_to_mobile(*checkpoint, path, options, prompts());
        EXPECT_EQ(report.has_value(), share > 1);
        EXPECT_EQ(std::filesystem::exists(path + ".partial"), share < 1);
    }
    for (const char* name : {"/model.safetensors", "/config.json"}) {
        std::string bytes[2];
        for (size_t i = 0; i < 2; ++i) {
            std::ifstream in(tree.path(i == 0 ? "whole" : "resumed") + name, std::ios::binary);
            bytes[i].assign(std::istreambuf_iterator<char>(in), {});
        }
        EXPECT_FALSE(bytes[0].empty());
        EXPECT_EQ(bytes[0], bytes[1]);
    }
    size_t n_files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
        n_files += entry.path().string().find(".partial") != std::string::npos ? 1000 : 1;
    }
    EXPECT_LT(n_files, 1000U);
}

TEST(MobileConversion, refuses_what_it_cannot_do) {
    const TempTree tree;
    const std::string source = test::write_directory(tree, test::tiny_e2b(), "e2b");
    const auto code = [&](const std::string& from, const std::string& to,
                          std::vector<CalibrationPrompt> calibration) {
        return convert(from, tree.path(to), "mobile:w4", std::move(calibration)).error().code();
    };
    EXPECT_EQ(code(source, "a", {}), StatusCode::bad_argument);
    EXPECT_EQ(code(source, "e2b", prompts()), StatusCode::io);  // is there already
    EXPECT_EQ(code(source, "no/a", prompts()), StatusCode::io);
    EXPECT_EQ(code(test::write_gguf(tree, test::tiny_e2b()), "a", prompts()),
              StatusCode::unsupported);
    EXPECT_EQ(code(test::write_directory(tree, test::tiny_qat(), "qat"), "a", prompts()),
              StatusCode::unsupported);
    EXPECT_EQ(code(test::write_directory(tree, test::tiny_moe(), "moe"), "a", prompts()),
              StatusCode::unsupported);
    EXPECT_FALSE(std::filesystem::exists(tree.path("a")));
    EXPECT_FALSE(std::filesystem::exists(tree.path("a.partial")));
}

}  // namespace
}  // namespace gemlet
