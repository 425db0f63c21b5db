// Checkpoints with one thing wrong: one clear error that names the file and the tensor.
#include "core/model/binder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "core/engine/sampler.h"
#include "tests/core/tiny_model.h"

namespace gemlet::test {
namespace {

struct Opened {
    Status status;
    std::string fault_file;
};

Opened open(const std::string& path) {
    Opened out;
    auto engine = Engine::open(path, tiny_options(), &out.fault_file);
    out.status = engine.error();
    return out;
}

/// Long names are shortened from the left.
bool names(const Status& status, const std::string& tensor) {
    const std::string subject(status.subject());
    const size_t tail = std::min<size_t>(tensor.size(), 30);
    return subject.find(tensor.substr(tensor.size() - tail)) != std::string::npos;
}

struct Defect {
    const char* name;
    bool is_qat;
    const char* tensor;
    std::function<void(TinyTensor&)> spoil;  // empty: the tensor is taken away
    StatusCode code = StatusCode::corrupt;
};

std::ostream& operator<<(std::ostream& out, const Defect& defect) { return out << defect.name; }

void set_float(TinyTensor& tensor, size_t index, float value) {
    std::vector<float> values = tensor_values(tensor);
    values.at(index) = value;
    tensor = float_tensor(tensor.type, tensor.shape, values);
}

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<Defect> defects() {
    const auto value = [](size_t index, float x) {
        return [index, x](TinyTensor& tensor) { set_float(tensor, index, x); };
    };
    const auto swap_dims = [](TinyTensor& tensor) { std::swap(tensor.shape[0], tensor.shape[1]); };
    const auto halve = [](TinyTensor& tensor) {
        tensor.shape[0] /= 2;
        tensor.bytes.resize(tensor.bytes.size() / 2);
    };
    const auto flat = [](TinyTensor& tensor) {
        tensor.shape = {tensor.shape[0] * tensor.shape[1]};
    };
    const auto as_codes = [](TinyTensor& tensor) {
        tensor.type = "U8";
        tensor.shape[1] *= 2;
    };
    const auto as_signed = [](TinyTensor& tensor) { tensor.type = "I8"; };
    const auto as_bf16 = [](TinyTensor& tensor) {
        tensor = float_tensor("BF16", tensor.shape, tensor_values(tensor));
    };
    const char* q = "layers.1.self_attn.q_proj.weight";
    const char* qat_q = "layers.0.self_attn.q_proj.weight";
    const char* qat_scale = "layers.0.self_attn.q_proj.weight_scale";
    const char* input = "layers.0.mlp.up_proj.input_activation_scale";
    const char* kv = "layers.0.self_attn.v_cache_scale";
    const StatusCode missing = StatusCode::not_found;
    return {
        {"missing_matrix", false, q, {}, missing},
        {"missing_norm", false, "layers.5.self_attn.q_norm.weight", {}, missing},
        {"missing_key", false, "layers.2.self_attn.k_proj.weight", {}, missing},
        {"missing_final_norm", false, "norm.weight", {}, missing},
        {"missing_table", false, "embed_tokens_per_layer.weight", {}, missing},
        {"missing_embedding", false, "embed_tokens.weight", {}, missing},
        {"transposed", false, q, swap_dims},
        {"too_few_rows", false, q, halve},
        {"one_dimension", false, q, flat},
        {"short_norm", false, "layers.3.input_layernorm.weight", halve},
        {"small_vocabulary", false, "embed_tokens.weight", halve},
        {"codes_in_a_float_model", false, q, as_codes, StatusCode::unsupported},
        {"nan_norm", false, "layers.3.input_layernorm.weight", value(7, kNan)},
        {"infinite_norm", false, "norm.weight", value(0, kInfinity)},
        {"infinite_scalar", false, "layers.4.layer_scalar", value(0, kInfinity)},
        {"qat_missing_scale", true, qat_scale, {}, missing},
        {"qat_zero_scale", true, qat_scale, value(3, 0)},
        {"qat_negative_scale", true, qat_scale, value(0, -1)},
        {"qat_nan_scale", true, qat_scale, value(5, kNan)},
        {"qat_short_scale", true, qat_scale, halve},
        {"qat_half_scale", true, qat_scale, as_bf16},
        {"qat_missing_input", true, input, {}, missing},
        {"qat_negative_input", true, input, value(0, -0.5F)},
        {"qat_nan_input", true, input, value(0, kNan)},
        {"qat_infinite_output", true, "layers.0.mlp.up_proj.output_activation_scale",
         value(0, kInfinity)},
        {"qat_zero_kv_scale", true, kv, value(0, 0)},
        {"qat_negative_kv_scale", true, kv, value(0, -1)},
        {"qat_fewer_rows", true, qat_q, halve},
        {"qat_signed_nibbles", true, qat_q, as_signed},
        {"qat_embedding_scale", true, "embed_tokens.embedding_scale", value(9, -1)},
        {"qat_blocks", true, "embed_tokens_per_layer.embedding_scale", swap_dims},
    };
}

class BinderDefect : public testing::TestWithParam<Defect> {};

TEST_P(BinderDefect, is_one_error_naming_file_and_tensor) {
    const Defect& defect = GetParam();
    const TempTree tree;
    TinyModel model = defect.is_qat ? tiny_qat() : tiny_e2b();
    ASSERT_EQ(model.tensors.count(defect.tensor), 1U) << defect.tensor;
    if (defect.spoil) {
        defect.spoil(model.tensors.at(defect.tensor));
    } else {
        model.tensors.erase(defect.tensor);
    }
    const std::string folder = write_directory(tree, model);
    const Opened opened = open(folder);
    EXPECT_EQ(opened.status.code(), defect.code) << opened.status.message();
    EXPECT_TRUE(names(opened.status, defect.tensor)) << opened.status.message();
    EXPECT_EQ(opened.fault_file, defect.spoil ? folder + "/model.safetensors" : folder);
}

INSTANTIATE_TEST_SUITE_P(defects, BinderDefect, testing::ValuesIn(defects()),
                         [](const auto& param) { return std::string(param.param.name); });

TEST(Binder, names_the_shard_of_a_bad_tensor) {
    const TempTree tree;
    TinyModel model = tiny_e2b();
    model.tensors.at("layers.3.mlp.up_proj.weight").shape = {32, 96};
    const std::string folder = write_directory(tree, model, "model", 3);
    const Opened opened = open(folder);
    EXPECT_EQ(opened.status.code(), StatusCode::corrupt);
    EXPECT_EQ(opened.fault_file.rfind(folder + "/part", 0), 0U) << opened.fault_file;
}

TEST(Binder, names_the_gguf_tensor) {
    const TempTree tree;
    TinyModel model = tiny_e2b();
    model.tensors.erase("layers.3.mlp.up_proj.weight");
    const Opened opened = open(write_gguf(tree, model));
    EXPECT_EQ(opened.status.code(), StatusCode::not_found);
    EXPECT_EQ(opened.status.subject(), "blk.3.ffn_up.weight");
    EXPECT_EQ(opened.fault_file, tree.path("model.gguf"));
}

TEST(Binder, refuses_widths_that_contradict_the_config) {
    const TempTree tree;
    TinyModel model = tiny_qat();
    Json& patterns = config_at(model.config, {"quantization_config", "module_quant_configs"});
    patterns = Json::object();
    patterns.set(R"(language_model\.layers\.\d+\.self_attn\.)",
                 Json::object().set("num_bits", Json::of_integer(2)));
    config_at(model.config, {"quantization_config", "num_bits"}) = Json::of_integer(3);
    const Opened opened = open(write_directory(tree, model));
    EXPECT_EQ(opened.status.code(), StatusCode::corrupt);
    EXPECT_TRUE(names(opened.status, "layers.0.self_attn.o_proj")) << opened.status.message();
    // A pattern we do not understand checks nothing.
    patterns = Json::object();
    patterns.set(".*self_attn.*", Json::object().set("num_bits", Json::of_integer(2)));
    EXPECT_TRUE(open(write_directory(tree, model)).status.ok());
}

TEST(Binder, never_looks_at_dead_keys_and_values) {
    const TempTree tree;
    TinyModel model = tiny_e2b();
    model.tensors["layers.4.self_attn.k_proj.weight"] = {"U8", {3}, "abc"};
    model.tensors["layers.4.self_attn.v_proj.weight"] = {"U8", {1}, "a"};
    const auto engine = open_tiny(write_directory(tree, model));
    ASSERT_NE(engine, nullptr);
    const auto sound = open_tiny(write_directory(tree, tiny_e2b(), "sound"));
    EXPECT_EQ(fresh_logits(*engine, tiny_prompt(20)), fresh_logits(*sound, tiny_prompt(20)));
}

TEST(Binder, a_layer_scalar_that_is_missing_is_one) {
    const TempTree tree;
    TinyModel without = tiny_e2b();
    TinyModel with = without;
    for (size_t i = 0; i < 6; ++i) {
        const std::string name = "layers." + std::to_string(i) + ".layer_scalar";
        without.tensors.erase(name);
        with.tensors.at(name) = float_tensor("BF16", {1}, {1.0F});
    }
    const auto a = open_tiny(write_directory(tree, without, "without"));
    const auto b = open_tiny(write_directory(tree, with, "with"));
    EXPECT_EQ(fresh_logits(*a, tiny_prompt(20)), fresh_logits(*b, tiny_prompt(20)));
}

/// Matrices are too large to be checked when they are opened: whatever is in them must do no harm.
TEST(Binder, weights_that_are_not_numbers_do_no_harm) {
    const TempTree tree;
    for (const bool moe : {false, true}) {
        for (const float bad : {kNan, kInfinity, 3e38F}) {
            TinyModel model = moe ? tiny_moe() : tiny_e2b();
            for (auto& [name, tensor] : model.tensors) {
                if (tensor.shape.size() < 2) continue;
                set_float(tensor, 1, bad);
                set_float(tensor, tensor_values(tensor).size() - 1, -bad);
            }
            EngineOptions options = tiny_options();
            for (const KvType kv : {KvType::f32, KvType::f16, KvType::i8}) {
                options.kv_type = kv;
                const auto engine = open_tiny(write_directory(tree, model), options);
                ASSERT_NE(engine, nullptr);
                const auto session = tiny_session(*engine);
                ASSERT_TRUE(session->append(tiny_prompt(30)).ok());
                SamplerOptions sampling;
                sampling.top_k = 0;
                Sampler sampler(kTinyVocab, sampling, {});
                const int32_t id = sampler.sample(session->logits());
                EXPECT_GE(id, 0);
                EXPECT_LT(id, static_cast<int32_t>(kTinyVocab));
            }
        }
    }
}

}  // namespace
}  // namespace gemlet::test
