// Models of a few thousand weights, made up in memory and written as people have them: safetensors
// (one file or shards) or GGUF, in any float type, sound or broken on purpose.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/engine/engine.h"
#include "core/engine/session.h"
#include "core/json.h"
#include "tests/core/temp_tree.h"

namespace gemlet::test {

/// A tensor as safetensors names its type: "F32", "F16", "BF16", "U8", "I8".
struct TinyTensor {
    std::string type;
    std::vector<size_t> shape;
    std::string bytes;
};

/// A checkpoint in memory. Tensor names without the prefix of the language model, except lm_head.
struct TinyModel {
    Json config;                                // config.json
    std::map<std::string, TinyTensor> tensors;  // "layers.0.mlp.up_proj.weight"
};

/// Shapes of the made-up models. Window 8, vocabulary 96, context 4096.
constexpr size_t kTinyWindow = 8;
constexpr size_t kTinyVocab = 96;

/// E2B's architecture: per-layer embeddings, the last half of six layers shares KV, wide FFNs
/// there.
TinyModel tiny_e2b();
/// 26B-A4B's architecture: experts, values made from keys in global layers.
TinyModel tiny_moe();
/// The QAT mobile checkpoint of the repository.
TinyModel tiny_qat();

/// Values of a float tensor; they fit F16 and BF16 exactly.
std::vector<float> tensor_values(const TinyTensor& tensor);
TinyTensor float_tensor(const std::string& type, std::vector<size_t> shape,
                        const std::vector<float>& values);
/// The same model with all floats of another type.
TinyModel with_type(const TinyModel& model, const std::string& type);

/// Writes config.json and model.safetensors, or shards with their index, into a folder of the tree;
/// returns its path.
std::string write_directory(const TempTree& tree, const TinyModel& model,
                            const std::string& folder = "model", size_t n_shards = 1);
/// Writes the model as GGUF (norms as F32); returns its path.
std::string write_gguf(const TempTree& tree, const TinyModel& model,
                       const std::string& name = "model.gguf");
/// One attn_qkv matrix instead of three in every layer that has them.
void fuse_qkv(TinyModel& model);
/// Two stacks of experts instead of the fused one.
void split_experts(TinyModel& model);

/// Returns the value at a path of object members, made where missing: {"text_config", "head_dim"}.
Json& config_at(Json& config, const std::vector<std::string>& path);

/// Small and quick: one thread, F32 cache, context 128.
EngineOptions tiny_options();
/// Opens a model; null, with a failed test, when that goes wrong.
std::unique_ptr<Engine> open_tiny(const std::string& path,
                                  const EngineOptions& options = tiny_options());
std::unique_ptr<Session> tiny_session(Engine& engine);

/// Rows of made-up ids; the same for the same arguments.
std::vector<PromptRow> tiny_prompt(size_t n, uint32_t seed = 1);
/// Logits after a prompt in a session of its own.
std::vector<float> fresh_logits(Engine& engine, const std::vector<PromptRow>& prompt);
std::vector<float> logits_of(const Session& session);

}  // namespace gemlet::test
