#include "core/model/qat_patterns.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace gemlet {
namespace {

/// The published tables, in file order, with the widths of E2B or E4B.
Json published(bool is_e4b) {
    Json patterns = Json::object();
    const auto add = [&patterns](const char* pattern, int64_t bits) {
        patterns.set(pattern, Json::object().set("num_bits", Json::of_integer(bits)));
    };
    add("^lm_head$", 2);
    add(R"(audio_tower(?!.*lconv1d\.linear_start))", 2);
    add(R"(audio_tower\.layers\.\d+\.lconv1d\.linear_start\.)", 4);
    add(R"(language_model\.embed_tokens$)", 2);
    add(R"(language_model\.embed_tokens_per_layer$)", is_e4b ? 2 : 4);
    if (!is_e4b) add(R"(language_model\.layers\.(\d|1[0-4])\.mlp\.)", 4);
    add(R"(language_model\.layers\.\d+\.mlp\.)", is_e4b ? 4 : 2);
    add(R"(language_model\.layers\.\d+\.per_layer_input_gate$)", 8);
    add(R"(language_model\.layers\.\d+\.per_layer_projection$)", 8);
    add(R"(language_model\.layers\.\d+\.self_attn\.)", 4);
    add("vision_tower", 8);
    Json config = Json::object();
    config.set("quant_method", Json::of("gemma")).set("num_bits", Json::of_integer(4));
    return config.set("module_quant_configs", patterns);
}

constexpr const char* kModel = "model.language_model.";

std::optional<size_t> bits(const Json& config, const std::string& module) {
    return declared_bits(config, module);
}

TEST(QatPatterns, give_the_published_widths_of_e2b) {
    const Json config = published(false);
    EXPECT_EQ(bits(config, "lm_head"), 2U);
    EXPECT_EQ(bits(config, std::string(kModel) + "embed_tokens"), 2U);
    EXPECT_EQ(bits(config, std::string(kModel) + "embed_tokens_per_layer"), 4U);
    for (size_t i = 0; i < 35; ++i) {
        const std::string layer = std::string(kModel) + "layers." + std::to_string(i) + ".";
        for (const char* mlp : {"mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"}) {
            EXPECT_EQ(bits(config, layer + mlp), i < 15 ? 4U : 2U) << i;
        }
        EXPECT_EQ(bits(config, layer + "self_attn.q_proj"), 4U);
        EXPECT_EQ(bits(config, layer + "self_attn.o_proj"), 4U);
        EXPECT_EQ(bits(config, layer + "per_layer_input_gate"), 8U);
        EXPECT_EQ(bits(config, layer + "per_layer_projection"), 8U);
    }
}

TEST(QatPatterns, give_the_published_widths_of_e4b) {
    const Json config = published(true);
    EXPECT_EQ(bits(config, "lm_head"), 2U);
    EXPECT_EQ(bits(config, std::string(kModel) + "embed_tokens_per_layer"), 2U);
    for (size_t i = 0; i < 42; ++i) {
        const std::string layer = std::string(kModel) + "layers." + std::to_string(i) + ".";
        EXPECT_EQ(bits(config, layer + "mlp.down_proj"), 4U) << i;
        EXPECT_EQ(bits(config, layer + "self_attn.k_proj"), 4U);
        EXPECT_EQ(bits(config, layer + "per_layer_projection"), 8U);
    }
}

Json one_pattern(const char* pattern, int64_t width, int64_t otherwise) {
    Json config = Json::object();
    config.set("num_bits", Json::of_integer(otherwise));
    Json patterns = Json::object();
    patterns.set(pattern, Json::object().set("num_bits", Json::of_integer(width)));
    return config.set("module_quant_configs", patterns);
}

TEST(QatPatterns, the_first_listed_wins_and_the_default_is_last) {
    Json config = published(false);
    EXPECT_EQ(bits(config, std::string(kModel) + "layers.3.unheard_of"), 4U);
    EXPECT_EQ(bits(one_pattern("^lm_head$", 8, 2), "lm_head"), 8U);
    EXPECT_EQ(bits(one_pattern("^lm_head$", 8, 2), "lm_head.more"), 2U);
    EXPECT_EQ(bits(one_pattern("^lm_head$", 8, 2), "the.lm_head"), 2U);
    EXPECT_EQ(bits(one_pattern("head", 8, 2), "the.lm_head"), 8U);
}

TEST(QatPatterns, anything_beyond_the_known_subset_says_nothing) {
    for (const char* pattern :
         {"lm_.*", "(a(b))", "lm_head|x", "lm_hea[abd]", "lm_\\whead", "l{2}", "(lm_head",
          "lm_head(", "[a", "\\", "lm_head)", "l?m_head", "(?=lm)", "[z-", "lm+_head"}) {
        EXPECT_EQ(bits(one_pattern(pattern, 8, 2), "lm_head"), std::nullopt) << pattern;
    }
}

TEST(QatPatterns, unusable_widths_say_nothing) {
    EXPECT_EQ(bits(one_pattern("^lm_head$", 3, 4), "lm_head"), std::nullopt);
    EXPECT_EQ(bits(one_pattern("^other$", 2, 16), "lm_head"), std::nullopt);
    EXPECT_EQ(bits(Json::object(), "lm_head"), std::nullopt);
    EXPECT_EQ(bits(Json(), "lm_head"), std::nullopt);
    Json config = Json::object();
    config.set("module_quant_configs", Json::array());
    EXPECT_EQ(bits(config, "lm_head"), std::nullopt);
}

TEST(QatPatterns, hostile_patterns_take_no_time) {
    std::string long_pattern(100000, 'a');
    EXPECT_EQ(bits(one_pattern(long_pattern.c_str(), 8, 2), "lm_head"), std::nullopt);
    std::string bars = "(";
    for (size_t i = 0; i < 100; ++i) bars += "a|";
    bars += "b)";
    const std::string name(2000, 'a');
    EXPECT_EQ(bits(one_pattern(bars.c_str(), 8, 2), name), 8U);
}

}  // namespace
}  // namespace gemlet
