// config.json and GGUF metadata as hyper-parameters: defaults, both spellings, and every number
// that could do harm.
#include "core/model/config.h"

#include <gtest/gtest.h>

#include "core/files/gguf.h"
#include "tests/core/gguf_writer.h"
#include "tests/core/tiny_model.h"

namespace gemlet::test {
namespace {

Json parse(const std::string& text) {
    auto document = parse_json(text);
    EXPECT_TRUE(document.has_value()) << document.error().message();
    return document ? std::move(*document) : Json();
}

ModelConfig read(const std::string& text) {
    auto config = config_from_json(parse(text));
    EXPECT_TRUE(config.has_value()) << config.error().message();
    return config ? std::move(*config) : ModelConfig();
}

Status fault(const std::string& text) { return config_from_json(parse(text)).error(); }

TEST(Config, fills_in_every_default) {
    const ModelConfig config = read(R"({"model_type": "gemma4", "text_config": {}})");
    EXPECT_EQ(config.n_layers, 30U);
    EXPECT_EQ(config.d_model, 2304U);
    EXPECT_EQ(config.n_heads, 8U);
    EXPECT_EQ(config.vocab_size, 262144U);
    EXPECT_EQ(config.ple_width, 256U);
    EXPECT_EQ(config.window, 512U);
    EXPECT_EQ(config.context_length, 131072U);
    EXPECT_EQ(config.n_owning_layers, 30U);
    EXPECT_EQ(config.n_experts, 0U);
    EXPECT_EQ(config.norm_eps, 1e-6F);
    EXPECT_EQ(config.soft_cap, 0.0F);
    EXPECT_EQ(config.rope_theta_local, 1e4F);
    EXPECT_EQ(config.rope_theta_global, 1e6F);
    EXPECT_EQ(config.rope_fraction_global, 0.25F);
    EXPECT_EQ(config.rope_factor_global, 1.0F);
    EXPECT_FALSE(config.image_bidirectional);
    EXPECT_FALSE(config.is_qat);
    EXPECT_EQ(config.image_id, -1);
    ASSERT_EQ(config.layers.size(), 30U);
    for (size_t i = 0; i < 30; ++i) {
        const LayerConfig& layer = config.layers[i];
        EXPECT_EQ(layer.is_global, i % 6 == 5) << i;
        EXPECT_EQ(layer.head_dim, i % 6 == 5 ? 512U : 256U);
        EXPECT_EQ(layer.n_kv_heads, 4U);
        EXPECT_EQ(layer.ffn_width, 9216U);
        EXPECT_FALSE(layer.k_equals_v);
        EXPECT_EQ(layer.kv_donor, i);
    }
}

TEST(Config, fills_in_the_defaults_of_the_unified_family) {
    const ModelConfig config = read(R"({"model_type": "gemma4_unified", "text_config": {}})");
    EXPECT_EQ(config.ple_width, 0U);
    EXPECT_EQ(config.window, 1024U);
    EXPECT_EQ(config.context_length, 262144U);
    EXPECT_TRUE(config.image_bidirectional);
}

TEST(Config, reads_both_spellings_of_the_geometry) {
    const std::string common = R"({"model_type": "gemma4", "text_config": {
        "num_hidden_layers": 12, "attention_k_eq_v": true, "num_key_value_heads": 4, )";
    const ModelConfig old_spelling =
        read(common + R"("global_head_dim": 128, "num_global_key_value_heads": 2}})");
    const ModelConfig new_spelling = read(common + R"("per_layer_config": {
        "05": {"head_dim": 128, "num_key_value_heads": 2},
        "11": {"head_dim": 128, "num_key_value_heads": 2}}}})");
    ASSERT_EQ(old_spelling.layers.size(), new_spelling.layers.size());
    for (size_t i = 0; i < 12; ++i) {
        const LayerConfig& a = old_spelling.layers[i];
        const LayerConfig& b = new_spelling.layers[i];
        EXPECT_EQ(a.head_dim, i % 6 == 5 ? 128U : 256U);
        EXPECT_EQ(a.head_dim, b.head_dim) << i;
        EXPECT_EQ(a.n_kv_heads, i % 6 == 5 ? 2U : 4U);
        EXPECT_EQ(a.n_kv_heads, b.n_kv_heads) << i;
        EXPECT_EQ(a.k_equals_v, i % 6 == 5);
        EXPECT_EQ(a.k_equals_v, b.k_equals_v) << i;
    }
}

TEST(Config, counts_global_kv_heads_only_where_values_are_keys) {
    const ModelConfig config = read(R"({"model_type": "gemma4", "text_config": {
        "num_hidden_layers": 6, "num_key_value_heads": 4, "num_global_key_value_heads": 2}})");
    EXPECT_EQ(config.layers[5].n_kv_heads, 4U);
}

TEST(Config, makes_the_last_layer_global) {
    const ModelConfig config = read(R"({"model_type": "gemma4", "text_config": {
        "num_hidden_layers": 3, "layer_types": ["full_attention", "sliding_attention",
        "sliding_attention"]}})");
    EXPECT_TRUE(config.layers[0].is_global);
    EXPECT_FALSE(config.layers[1].is_global);
    EXPECT_TRUE(config.layers[2].is_global);
}

TEST(Config, shares_keys_and_values_with_the_last_owner_of_the_same_kind) {
    const ModelConfig config = config_from_json(tiny_e2b().config).value();
    const size_t donors[] = {0, 1, 2, 1, 1, 2};
    for (size_t i = 0; i < 6; ++i) {
        EXPECT_EQ(config.layers[i].owns_kv, i < 3);
        EXPECT_EQ(config.layers[i].kv_donor, donors[i]) << i;
        EXPECT_EQ(config.layers[i].ffn_width, i < 3 ? 48U : 96U);
    }
}

TEST(Config, null_stands_for_missing) {
    const ModelConfig config = read(R"({"model_type": "gemma4", "text_config": {
        "hidden_size_per_layer_input": null, "num_global_key_value_heads": null,
        "rope_parameters": null, "layer_types": null, "per_layer_config": null,
        "final_logit_softcapping": null, "use_bidirectional_attention": null}})");
    EXPECT_EQ(config.ple_width, 0U);  // here null means none
    EXPECT_EQ(config.n_layers, 30U);
}

TEST(Config, a_global_fraction_that_is_not_given_is_one) {
    const ModelConfig config = read(R"({"model_type": "gemma4", "text_config": {
        "rope_parameters": {"sliding_attention": {"rope_theta": 5000.0},
        "full_attention": {"rope_theta": 2e6, "factor": 8.0}}}})");
    EXPECT_EQ(config.rope_theta_local, 5e3F);
    EXPECT_EQ(config.rope_theta_global, 2e6F);
    EXPECT_EQ(config.rope_fraction_global, 1.0F);
    EXPECT_EQ(config.rope_factor_global, 8.0F);
}

struct BadValue {
    const char* key;    // in text_config, unless it is one of the document's
    const char* value;  // JSON
    const char* subject = nullptr;
};

class ConfigBadValue : public testing::TestWithParam<BadValue> {};

TEST_P(ConfigBadValue, is_an_error_naming_the_key) {
    const BadValue& bad = GetParam();
    Json document = tiny_moe().config;
    config_at(document, {"text_config", bad.key}) = parse(bad.value);
    const Status status = config_from_json(document).error();
    ASSERT_FALSE(status.ok()) << bad.key << " = " << bad.value;
    EXPECT_EQ(status.subject(), bad.subject != nullptr ? bad.subject : bad.key);
}

INSTANTIATE_TEST_SUITE_P(
    values, ConfigBadValue,
    testing::Values(
        BadValue{"num_hidden_layers", "0"}, BadValue{"num_hidden_layers", "-1"},
        BadValue{"num_hidden_layers", "1025"}, BadValue{"num_hidden_layers", "1e300"},
        BadValue{"num_hidden_layers", "2.5"}, BadValue{"num_hidden_layers", "\"6\""},
        BadValue{"num_hidden_layers", "5", "layer_types"}, BadValue{"hidden_size", "0"},
        BadValue{"hidden_size", "262145"}, BadValue{"num_attention_heads", "0"},
        BadValue{"num_attention_heads", "1025"}, BadValue{"num_attention_heads", "[8]"},
        BadValue{"vocab_size", "0"}, BadValue{"vocab_size", "4194305"}, BadValue{"head_dim", "0"},
        BadValue{"head_dim", "24"}, BadValue{"head_dim", "4112"},
        BadValue{"global_head_dim", "8", "head_dim"}, BadValue{"num_key_value_heads", "0"},
        BadValue{"num_key_value_heads", "3"}, BadValue{"num_key_value_heads", "8"},
        BadValue{"num_global_key_value_heads", "3", "num_key_value_heads"},
        BadValue{"intermediate_size", "0"}, BadValue{"intermediate_size", "999999999"},
        BadValue{"hidden_size_per_layer_input", "4097"}, BadValue{"sliding_window", "0"},
        BadValue{"sliding_window", "1e9"}, BadValue{"max_position_embeddings", "0"},
        BadValue{"max_position_embeddings", "16777217"},
        BadValue{"num_kv_shared_layers", "6", "num_hidden_layers"},
        BadValue{"num_kv_shared_layers", "4"},  // no global layer is left to share
        BadValue{"rms_norm_eps", "0"}, BadValue{"rms_norm_eps", "-1e-6"},
        BadValue{"rms_norm_eps", "1"}, BadValue{"final_logit_softcapping", "-30"},
        BadValue{"final_logit_softcapping", "1e39"}, BadValue{"num_experts", "0"},
        BadValue{"num_experts", "4097"}, BadValue{"top_k_experts", "0"},
        BadValue{"top_k_experts", "9"}, BadValue{"moe_intermediate_size", "0"},
        BadValue{"attention_k_eq_v", "1"}, BadValue{"use_double_wide_mlp", "\"yes\""},
        BadValue{"hidden_activation", "\"relu\""}, BadValue{"hidden_activation", "1"},
        BadValue{"use_bidirectional_attention", "\"all\""},
        BadValue{"use_bidirectional_attention", "\"left\""}, BadValue{"layer_types", "[]"},
        BadValue{"layer_types", "{}"}, BadValue{"layer_types", "[1, 2, 3, 4, 5, 6]"},
        BadValue{"pad_token_id", "96"}, BadValue{"pad_token_id", "-1"},
        BadValue{"pad_token_id", "1e9"}, BadValue{"per_layer_config", "5"},
        BadValue{"per_layer_config", "{\"6\": {}}", "6"},
        BadValue{"per_layer_config", "{\"-1\": {}}", "-1"},
        BadValue{"per_layer_config", "{\"1x\": {}}", "1x"},
        BadValue{"per_layer_config", "{\"99999999999999999999\": {}}", "99999999999999999999"},
        BadValue{"per_layer_config", "{\"1\": 5}", "1"},
        BadValue{"per_layer_config", "{\"1\": {\"head_dim\": 17}}", "head_dim"},
        BadValue{"rope_parameters", "5"},
        BadValue{"rope_parameters", "{\"sliding_attention\": {\"rope_theta\": 0}}", "rope_theta"},
        BadValue{"rope_parameters", "{\"full_attention\": {\"rope_theta\": 1e30}}", "rope_theta"},
        BadValue{"rope_parameters", "{\"full_attention\": {\"partial_rotary_factor\": 1.5}}",
                 "partial_rotary_factor"},
        BadValue{"rope_parameters", "{\"full_attention\": {\"factor\": 0}}", "rope factor"},
        BadValue{"rope_parameters", "{\"sliding_attention\": {\"rope_type\": \"yarn\"}}",
                 "rope_type"},
        BadValue{"rope_parameters", "{\"full_attention\": {\"rope_type\": \"linear\"}}",
                 "rope_type"}));

TEST(Config, refuses_other_models) {
    EXPECT_EQ(fault("[]").subject(), "config.json");
    EXPECT_EQ(fault("{}").code(), StatusCode::unsupported);
    EXPECT_EQ(fault(R"({"model_type": "gemma3"})").subject(), "gemma3");
    EXPECT_EQ(fault(R"({"model_type": "gemma4_assistant"})").code(), StatusCode::unsupported);
    const Status awq =
        fault(R"({"model_type": "gemma4", "quantization_config": {"quant_method": "awq"}})");
    EXPECT_EQ(awq.code(), StatusCode::unsupported);
    EXPECT_EQ(awq.subject(), "quant_method");
}

TEST(Config, placeholders_stand_outside_the_text_model) {
    const ModelConfig config = read(R"({"model_type": "gemma4", "text_config": {},
        "image_token_id": 7, "audio_token_id": null})");
    EXPECT_EQ(config.image_id, 7);
    EXPECT_EQ(config.audio_id, -1);
    EXPECT_EQ(fault(R"({"model_type": "gemma4", "image_token_id": "x"})").subject(),
              "image_token_id");
}

/// The tiny GGUF file with one metadata value replaced or left out.
Status gguf_fault(const std::string& key, const std::string& replacement) {
    const TempTree tree;
    const std::string path = write_gguf(tree, tiny_moe());
    std::ifstream file(path, std::ios::binary);
    std::string bytes((std::istreambuf_iterator<char>(file)), {});
    const std::string marker = ByteWriter().put_string("gemma4." + key).bytes();
    const size_t at = bytes.find(marker);
    if (at == std::string::npos) return {StatusCode::not_found, "no such key", key};
    // Same length, so that the rest of the file stays where it was.
    bytes.replace(at + marker.size() + sizeof(uint32_t), replacement.size(), replacement);
    tree.write("changed.gguf", bytes);
    auto opened = GgufFile::open(tree.path("changed.gguf"));
    if (!opened) return opened.error();
    return config_from_gguf(*opened).error();
}

TEST(Config, bad_gguf_metadata_is_an_error) {
    const auto number = [](uint32_t value) { return ByteWriter().put(value).bytes(); };
    for (const char* key :
         {"block_count", "embedding_length", "attention.head_count", "context_length",
          "attention.sliding_window", "attention.key_length", "attention.key_length_swa",
          "expert_feed_forward_length", "expert_used_count"}) {
        EXPECT_FALSE(gguf_fault(key, number(0)).ok()) << key;
        EXPECT_FALSE(gguf_fault(key, number(UINT32_MAX)).ok()) << key;
    }
    EXPECT_FALSE(gguf_fault("attention.shared_kv_layers", number(6)).ok());
    EXPECT_FALSE(gguf_fault("embedding_length_per_layer_input", number(UINT32_MAX)).ok());
    EXPECT_FALSE(gguf_fault("expert_count", number(5000)).ok());
    EXPECT_TRUE(gguf_fault("block_count", number(6)).ok());
}

}  // namespace
}  // namespace gemlet::test
