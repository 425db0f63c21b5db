#include "tests/core/tiny_model.h"

#include <gtest/gtest.h>

#include <cstring>

#include "core/files/safetensors.h"
#include "core/model/checkpoint.h"
#include "quant/formats/float16.h"
#include "tests/core/gguf_writer.h"

namespace gemlet::test {
namespace {

constexpr const char* kPrefix = "model.language_model.";
constexpr size_t kLayers = 6;
constexpr size_t kWidth = 32;
constexpr size_t kHeads = 4;

class Random {
  public:
    explicit Random(uint32_t seed) : state_(seed * 2654435761U + 12345U) {}
    uint32_t next() {
        state_ = state_ * 1664525U + 1013904223U;
        return state_ >> 16U;
    }

  private:
    uint32_t state_;
};

/// Multiples of 1/64 between -15/64 and 15/64, around `middle`.
TinyTensor random_tensor(Random& random, std::vector<size_t> shape, float middle = 0) {
    size_t n = 1;
    for (const size_t size : shape) n *= size;
    std::vector<float> values(n);
    for (float& value : values) {
        value = middle + static_cast<float>(static_cast<int>(random.next() % 31) - 15) / 64.0F;
    }
    return float_tensor("BF16", std::move(shape), values);
}

Json parse(const char* text) {
    auto document = parse_json(text);
    if (!document) ADD_FAILURE() << document.error().message();
    return document ? std::move(*document) : Json();
}

/// Widths of one layer.
struct Layer {
    size_t head_dim;
    size_t n_kv;
    size_t ffn;
    bool owns_kv;
    bool has_v;
};

void add_layer(TinyModel& model, Random& random, size_t index, const Layer& layer) {
    const std::string at = "layers." + std::to_string(index) + ".";
    const auto matrix = [&](const char* name, size_t n, size_t k) {
        model.tensors[at + name + ".weight"] = random_tensor(random, {n, k});
    };
    const auto norm = [&](const char* name, size_t n) {
        model.tensors[at + name + ".weight"] = random_tensor(random, {n}, 0.5F);
    };
    norm("input_layernorm", kWidth);
    norm("post_attention_layernorm", kWidth);
    norm("pre_feedforward_layernorm", kWidth);
    norm("post_feedforward_layernorm", kWidth);
    norm("self_attn.q_norm", layer.head_dim);
    matrix("self_attn.q_proj", kHeads * layer.head_dim, kWidth);
    matrix("self_attn.o_proj", kWidth, kHeads * layer.head_dim);
    if (layer.owns_kv) {
        norm("self_attn.k_norm", layer.head_dim);
        matrix("self_attn.k_proj", layer.n_kv * layer.head_dim, kWidth);
        if (layer.has_v) matrix("self_attn.v_proj", layer.n_kv * layer.head_dim, kWidth);
    }
    matrix("mlp.gate_proj", layer.ffn, kWidth);
    matrix("mlp.up_proj", layer.ffn, kWidth);
    matrix("mlp.down_proj", kWidth, layer.ffn);
    model.tensors[at + "layer_scalar"] = float_tensor("BF16", {1}, {0.75F});
}

void add_ends(TinyModel& model, Random& random) {
    model.tensors["embed_tokens.weight"] = random_tensor(random, {kTinyVocab, kWidth});
    model.tensors["norm.weight"] = random_tensor(random, {kWidth}, 1.0F);
}

std::string header_of(const std::vector<std::pair<std::string, const TinyTensor*>>& tensors) {
    Json header = Json::object();
    size_t at = 0;
    for (const auto& [name, tensor] : tensors) {
        Json shape = Json::array();
        for (const size_t size : tensor->shape) {
            shape.items.push_back(Json::of_integer(static_cast<int64_t>(size)));
        }
        Json offsets = Json::array();
        offsets.items.push_back(Json::of_integer(static_cast<int64_t>(at)));
        at += tensor->bytes.size();
        offsets.items.push_back(Json::of_integer(static_cast<int64_t>(at)));
        Json entry = Json::object();
        entry.set("dtype", Json::of(tensor->type)).set("shape", shape).set("data_offsets", offsets);
        header.set(name, entry);
    }
    std::string text = write_json(header);
    while (text.size() % 8 != 0) text += ' ';
    return text;
}

void write_shard(const TempTree& tree, const std::string& path,
                 const std::vector<std::pair<std::string, const TinyTensor*>>& tensors) {
    const std::string header = header_of(tensors);
    ByteWriter out;
    out.put<uint64_t>(header.size()).put_bytes(header);
    for (const auto& entry : tensors) out.put_bytes(entry.second->bytes);
    tree.write(path, out.bytes());
}

std::string name_in_file(const std::string& name) {
    return name.rfind("lm_head", 0) == 0 ? name : kPrefix + name;
}

const Json& text_config(const TinyModel& model) { return *model.config.find("text_config"); }

uint32_t number(const TinyModel& model, const char* key) {
    const Json* value = text_config(model).find(key);
    return value != nullptr && value->is_number() ? static_cast<uint32_t>(value->number) : 0;
}

std::string per_layer(const std::string& key, const std::vector<uint32_t>& values) {
    ByteWriter payload;
    for (const uint32_t value : values) payload.put(value);
    return gguf_array(key, 4, values.size(), payload.bytes());
}

std::vector<std::string> gguf_metadata(const TinyModel& model) {
    const std::string a = "gemma4.";
    const auto size = [&model](const char* key) { return number(model, key); };
    std::vector<uint32_t> ffn;
    std::vector<uint32_t> kv_heads;
    std::vector<uint32_t> is_local;
    const Json* kinds = text_config(model).find("layer_types");
    for (size_t i = 0; i < kLayers; ++i) {
        const std::string at = "layers." + std::to_string(i) + ".";
        ffn.push_back(
            static_cast<uint32_t>(model.tensors.at(at + "mlp.gate_proj.weight").shape[0]));
        const bool global = kinds->items[i].text == "full_attention";
        is_local.push_back(global ? 0 : 1);
        const uint32_t global_heads = size("num_global_key_value_heads");
        kv_heads.push_back(global && global_heads != 0 ? global_heads
                                                       : size("num_key_value_heads"));
    }
    std::vector<std::string> out = {
        gguf_text("general.architecture", "gemma4"),
        gguf_u32(a + "block_count", kLayers),
        gguf_u32(a + "embedding_length", size("hidden_size")),
        gguf_u32(a + "attention.head_count", size("num_attention_heads")),
        gguf_u32(a + "context_length", size("max_position_embeddings")),
        gguf_u32(a + "attention.sliding_window", size("sliding_window")),
        gguf_u32(a + "embedding_length_per_layer_input", size("hidden_size_per_layer_input")),
        gguf_u32(a + "attention.shared_kv_layers", size("num_kv_shared_layers")),
        gguf_u32(a + "attention.key_length", size("global_head_dim")),
        gguf_u32(a + "attention.key_length_swa", size("head_dim")),
        gguf_scalar(a + "final_logit_softcapping", 6, 30.0F),
        per_layer(a + "feed_forward_length", ffn),
        per_layer(a + "attention.head_count_kv", kv_heads),
        per_layer(a + "attention.sliding_window_pattern", is_local),
    };
    if (size("num_experts") != 0) {
        out.push_back(gguf_u32(a + "expert_count", size("num_experts")));
        out.push_back(gguf_u32(a + "expert_used_count", size("top_k_experts")));
        out.push_back(gguf_u32(a + "expert_feed_forward_length", size("moe_intermediate_size")));
    }
    return out;
}

std::string rows_of(const TinyTensor& tensor, size_t first, size_t count) {
    const size_t row_bytes = tensor.bytes.size() / tensor.shape[0];
    return tensor.bytes.substr(first * row_bytes, count * row_bytes);
}

}  // namespace

TinyModel tiny_e2b() {
    constexpr size_t kPle = 16;
    TinyModel model;
    model.config = parse(R"({"model_type": "gemma4", "text_config": {
        "num_hidden_layers": 6, "hidden_size": 32, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 16, "global_head_dim": 32, "intermediate_size": 48,
        "vocab_size": 96, "hidden_size_per_layer_input": 16, "sliding_window": 8,
        "max_position_embeddings": 4096, "num_kv_shared_layers": 3, "use_double_wide_mlp": true,
        "final_logit_softcapping": 30.0, "layer_types": ["sliding_attention", "sliding_attention",
        "full_attention", "sliding_attention", "sliding_attention", "full_attention"]}})");
    Random random(1);
    add_ends(model, random);
    for (size_t i = 0; i < kLayers; ++i) {
        add_layer(model, random, i, {i % 3 == 2 ? 32U : 16U, 2, i < 3 ? 48U : 96U, i < 3, true});
        const std::string at = "layers." + std::to_string(i) + ".";
        model.tensors[at + "per_layer_input_gate.weight"] = random_tensor(random, {kPle, kWidth});
        model.tensors[at + "per_layer_projection.weight"] = random_tensor(random, {kWidth, kPle});
        model.tensors[at + "post_per_layer_input_norm.weight"] =
            random_tensor(random, {kWidth}, 0.5F);
    }
    model.tensors["embed_tokens_per_layer.weight"] =
        random_tensor(random, {kTinyVocab, kLayers * kPle});
    model.tensors["per_layer_model_projection.weight"] =
        random_tensor(random, {kLayers * kPle, kWidth});
    model.tensors["per_layer_projection_norm.weight"] = random_tensor(random, {kPle}, 1.0F);
    return model;
}

TinyModel tiny_moe() {
    constexpr size_t kExperts = 8;
    constexpr size_t kExpertWidth = 16;
    TinyModel model;
    model.config = parse(R"({"model_type": "gemma4", "text_config": {
        "num_hidden_layers": 6, "hidden_size": 32, "num_attention_heads": 4,
        "num_key_value_heads": 2, "num_global_key_value_heads": 1, "attention_k_eq_v": true,
        "head_dim": 16, "global_head_dim": 32, "intermediate_size": 48, "vocab_size": 96,
        "hidden_size_per_layer_input": 0, "sliding_window": 8, "max_position_embeddings": 4096,
        "enable_moe_block": true, "num_experts": 8, "top_k_experts": 2,
        "moe_intermediate_size": 16, "final_logit_softcapping": 30.0,
        "use_bidirectional_attention": "vision", "layer_types": ["sliding_attention",
        "sliding_attention", "full_attention", "sliding_attention", "sliding_attention",
        "full_attention"]}})");
    Random random(2);
    add_ends(model, random);
    for (size_t i = 0; i < kLayers; ++i) {
        const bool global = i % 3 == 2;
        add_layer(model, random, i, {global ? 32U : 16U, global ? 1U : 2U, 48, true, !global});
        const std::string at = "layers." + std::to_string(i) + ".";
        model.tensors[at + "router.proj.weight"] = random_tensor(random, {kExperts, kWidth});
        model.tensors[at + "router.scale"] = random_tensor(random, {kWidth}, 1.0F);
        model.tensors[at + "router.per_expert_scale"] = random_tensor(random, {kExperts}, 1.0F);
        for (const char* norm : {"pre_feedforward_layernorm_2", "post_feedforward_layernorm_1",
                                 "post_feedforward_layernorm_2"}) {
            model.tensors[at + norm + ".weight"] = random_tensor(random, {kWidth}, 0.5F);
        }
        model.tensors[at + "experts.gate_up_proj"] =
            random_tensor(random, {kExperts, 2 * kExpertWidth, kWidth});
        model.tensors[at + "experts.down_proj"] =
            random_tensor(random, {kExperts, kWidth, kExpertWidth});
    }
    return model;
}

TinyModel tiny_qat() {
    const std::string path = GEMLET_TEST_DATA "/golden/qat/checkpoint";
    TinyModel model;
    auto checkpoint = Checkpoint::open(path);
    if (!checkpoint) {
        ADD_FAILURE() << checkpoint.error().message();
        return model;
    }
    model.config = checkpoint->config_json();
    for (const TensorView& view : checkpoint->tensors()) {
        TinyTensor tensor;
        tensor.type = view.raw == RawType::u8         ? "U8"
                      : view.raw == RawType::i8       ? "I8"
                      : view.type == WeightType::bf16 ? "BF16"
                                                      : "F32";
        tensor.shape.assign(view.shape.begin(), view.shape.begin() + view.n_dims);
        tensor.bytes.assign(view.bytes.begin(), view.bytes.end());
        const std::string prefix = kPrefix;
        const bool below = view.name.rfind(prefix, 0) == 0;
        model.tensors[below ? view.name.substr(prefix.size()) : view.name] = std::move(tensor);
    }
    return model;
}

std::vector<float> tensor_values(const TinyTensor& tensor) {
    const size_t width = tensor.type == "F32" ? 4 : 2;
    std::vector<float> out(tensor.bytes.size() / width);
    for (size_t i = 0; i < out.size(); ++i) {
        if (width == 4) {
            std::memcpy(&out[i], tensor.bytes.data() + 4 * i, 4);
            continue;
        }
        uint16_t bits = 0;
        std::memcpy(&bits, tensor.bytes.data() + 2 * i, 2);
        out[i] = tensor.type == "F16" ? f16_to_f32(bits) : bf16_to_f32(bits);
    }
    return out;
}

TinyTensor float_tensor(const std::string& type, std::vector<size_t> shape,
                        const std::vector<float>& values) {
    ByteWriter bytes;
    for (const float value : values) {
        if (type == "F32") {
            bytes.put(value);
        } else {
            bytes.put(type == "F16" ? f32_to_f16(value) : f32_to_bf16(value));
        }
    }
    return {type, std::move(shape), bytes.bytes()};
}

TinyModel with_type(const TinyModel& model, const std::string& type) {
    TinyModel out = model;
    for (auto& [name, tensor] : out.tensors) {
        tensor = float_tensor(type, tensor.shape, tensor_values(tensor));
    }
    return out;
}

std::string write_directory(const TempTree& tree, const TinyModel& model, const std::string& folder,
                            size_t n_shards) {
    tree.write(folder + "/config.json", write_json(model.config));
    std::vector<std::vector<std::pair<std::string, const TinyTensor*>>> shards(n_shards);
    Json map = Json::object();
    size_t next = 0;
    for (const auto& [name, tensor] : model.tensors) {
        const size_t shard = next++ % n_shards;
        shards[shard].emplace_back(name_in_file(name), &tensor);
        map.set(name_in_file(name), Json::of("part" + std::to_string(shard) + ".safetensors"));
    }
    if (n_shards == 1) {
        write_shard(tree, folder + "/model.safetensors", shards[0]);
        return tree.path(folder);
    }
    for (size_t i = 0; i < n_shards; ++i) {
        write_shard(tree, folder + "/part" + std::to_string(i) + ".safetensors", shards[i]);
    }
    Json index = Json::object();
    index.set("metadata", Json::object()).set("weight_map", map);
    tree.write(folder + "/model.safetensors.index.json", write_json(index));
    return tree.path(folder);
}

std::string write_gguf(const TempTree& tree, const TinyModel& model, const std::string& name) {
    constexpr size_t kAlign = 32;
    GgufWriter file;
    file.values = gguf_metadata(model);
    std::string data;
    for (const auto& [tensor_name, tensor] : model.tensors) {
        const TinyTensor stored = tensor.shape.size() == 1
                                      ? float_tensor("F32", tensor.shape, tensor_values(tensor))
                                      : tensor;
        const uint32_t type = stored.type == "F32" ? 0 : stored.type == "F16" ? 1 : 30;
        file.tensors.push_back({gguf_tensor_name(tensor_name),
                                {stored.shape.rbegin(), stored.shape.rend()},
                                type,
                                data.size()});
        data += stored.bytes;
        data.resize((data.size() + kAlign - 1) / kAlign * kAlign);
    }
    std::string bytes = file.bytes();
    bytes.resize((bytes.size() + kAlign - 1) / kAlign * kAlign);
    tree.write(name, bytes + data);
    return tree.path(name);
}

void fuse_qkv(TinyModel& model) {
    for (size_t i = 0; i < kLayers; ++i) {
        const std::string at = "layers." + std::to_string(i) + ".self_attn.";
        if (model.tensors.count(at + "v_proj.weight") == 0) continue;
        TinyTensor fused = model.tensors.at(at + "q_proj.weight");
        for (const char* part : {"k_proj.weight", "v_proj.weight"}) {
            const TinyTensor& tensor = model.tensors.at(at + part);
            fused.shape[0] += tensor.shape[0];
            fused.bytes += tensor.bytes;
            model.tensors.erase(at + part);
        }
        model.tensors.erase(at + "q_proj.weight");
        model.tensors[at + "qkv_proj.weight"] = fused;
    }
}

void split_experts(TinyModel& model) {
    for (size_t i = 0; i < kLayers; ++i) {
        const std::string at = "layers." + std::to_string(i) + ".experts.";
        const TinyTensor fused = model.tensors.at(at + "gate_up_proj");
        model.tensors.erase(at + "gate_up_proj");
        const size_t width = fused.shape[1] / 2;
        TinyTensor flat = fused;  // [experts * 2 * width, d]
        flat.shape = {fused.shape[0] * fused.shape[1], fused.shape[2]};
        TinyTensor gate{fused.type, {fused.shape[0], width, fused.shape[2]}, {}};
        TinyTensor up = gate;
        for (size_t expert = 0; expert < fused.shape[0]; ++expert) {
            gate.bytes += rows_of(flat, expert * 2 * width, width);
            up.bytes += rows_of(flat, expert * 2 * width + width, width);
        }
        model.tensors[at + "gate_proj"] = gate;
        model.tensors[at + "up_proj"] = up;
    }
}

Json& config_at(Json& config, const std::vector<std::string>& path) {
    Json* at = &config;
    for (const std::string& key : path) {
        if (at->find(key) == nullptr) at->set(key, Json());
        for (Json::Member& member : at->members) {
            if (member.first == key) {
                at = &member.second;
                break;
            }
        }
    }
    return *at;
}

EngineOptions tiny_options() {
    EngineOptions options;
    options.n_threads = 1;
    options.context = 128;
    options.chunk = 16;
    options.max_wanted = 16;
    options.kv_type = KvType::f32;
    return options;
}

std::unique_ptr<Engine> open_tiny(const std::string& path, const EngineOptions& options) {
    std::string fault;
    auto engine = Engine::open(path, options, &fault);
    if (!engine) ADD_FAILURE() << fault << ": " << engine.error().message();
    return engine ? std::move(*engine) : nullptr;
}

std::unique_ptr<Session> tiny_session(Engine& engine) {
    auto session = Session::create(engine);
    if (!session) ADD_FAILURE() << session.error().message();
    return session ? std::move(*session) : nullptr;
}

std::vector<PromptRow> tiny_prompt(size_t n, uint32_t seed) {
    Random random(seed + 100);
    std::vector<PromptRow> rows(n);
    for (PromptRow& row : rows) row.token = static_cast<int32_t>(random.next() % kTinyVocab);
    return rows;
}

std::vector<float> fresh_logits(Engine& engine, const std::vector<PromptRow>& prompt) {
    const auto session = tiny_session(engine);
    const Status status = session->append(prompt);
    EXPECT_TRUE(status.ok()) << status.message();
    return logits_of(*session);
}

std::vector<float> logits_of(const Session& session) {
    return {session.logits().begin(), session.logits().end()};
}

}  // namespace gemlet::test
