// Hyper-parameters of a Gemma 4 text decoder, with every default filled in and every number
// checked, whether they came from config.json or from GGUF metadata.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/json.h"
#include "core/status.h"

namespace gemlet {

class GgufFile;

/// Shape of one decoder layer.
struct LayerConfig {
    bool is_global = false;   // attends to all positions; otherwise to the sliding window
    bool owns_kv = true;      // writes keys and values of its own
    bool k_equals_v = false;  // values are made from the key projection
    size_t head_dim = 0;
    size_t n_kv_heads = 0;
    size_t ffn_width = 0;
    size_t kv_donor = 0;  // layer whose keys and values this one reads; itself when owns_kv
};

/// A text decoder. Field terms as in the model's specification.
struct ModelConfig {
    std::string name;     // for people: "gemma4", with the size where it can be told
    std::string origin;   // "safetensors", "safetensors, QAT mobile" or "gguf"
    bool is_qat = false;  // quant_method "gemma": per-row integers, static activation scales
    size_t n_layers = 0;
    size_t d_model = 0;
    size_t n_heads = 0;
    size_t vocab_size = 0;
    size_t ple_width = 0;  // per-layer embedding width; 0 = none
    size_t window = 0;     // positions a sliding-window layer sees, the query's own included
    size_t context_length = 0;
    size_t n_owning_layers = 0;  // layers 0 .. n-1 write KV, the rest share it
    size_t n_experts = 0;        // 0 = dense only
    size_t n_experts_used = 0;
    size_t expert_width = 0;
    float norm_eps = 1e-6F;
    float soft_cap = 0;  // 0 = none
    float rope_theta_local = 1e4F;
    float rope_theta_global = 1e6F;
    float rope_fraction_global = 0.25F;
    float rope_factor_global = 1.0F;  // divides the frequencies
    bool image_bidirectional = false;
    int32_t pad_id = 0;
    int32_t image_id = -1;  // placeholder ids; -1 = the model has none
    int32_t audio_id = -1;
    int32_t video_id = -1;
    std::vector<LayerConfig> layers;

    size_t max_head_dim() const;
    size_t max_ffn_width() const;
    /// Parameters that are multiplied for one prompt row: up to the last KV-writing layer, and all
    /// layers with the head.
    size_t prefill_multiplications() const;
    size_t decode_multiplications() const;
};

/// Reads config.json (already parsed). Errors: `corrupt` or `unsupported` naming the key.
Result<ModelConfig> config_from_json(const Json& document);
/// Reads `gemma4.*` metadata. Facts that GGUF leaves to the tensors (K=V layers, the rotary
/// fraction) are taken from the directory.
Result<ModelConfig> config_from_gguf(const GgufFile& file);

}  // namespace gemlet
