// The weights of a text decoder, bound to the mapped file by name and shape. Matrices stay where
// they lie; only vectors (norm weights, scalars) are widened to float, in one small block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/model/checkpoint.h"
#include "core/model/config.h"
#include "core/status.h"
#include "quant/formats/weight_type.h"

namespace gemlet {

/// A matrix [n_rows, n_cols] applied as y = W x, or a stack of such (experts).
struct Matrix {
    const uint8_t* data = nullptr;  // null: the layer has no such matrix
    WeightType type = WeightType::f32;
    size_t n_rows = 0;
    size_t n_cols = 0;
    size_t row_stride_bytes = 0;
    // Per-row integers only: scales [n_rows], unaligned floats, and the static activation scales (0
    // = that side is not quantised).
    const uint8_t* row_scale = nullptr;
    float input_scale = 0;
    float output_scale = 0;

    bool present() const { return data != nullptr; }
    size_t bytes() const { return n_rows * row_stride_bytes; }
    /// The rows [first, first + count) as a matrix.
    Matrix rows(size_t first, size_t count) const;
};

/// A table looked up by token id: row value = code * scale (of the row's block) * factor.
struct EmbeddingTable {
    Matrix rows;
    const uint8_t* block_scale =
        nullptr;  // [n_rows, n_blocks] unaligned floats; per-row integers only
    size_t n_blocks = 1;
    float factor = 1;
};

/// Weights of one layer. Vectors are [d_model] unless said otherwise; null where absent.
struct LayerWeights {
    const float* input_norm = nullptr;
    const float* post_attention_norm = nullptr;
    const float* pre_ffn_norm = nullptr;
    const float* post_ffn_norm = nullptr;
    const float* q_norm = nullptr;  // [head_dim]
    const float* k_norm = nullptr;  // [head_dim]
    float layer_scalar = 1;
    Matrix q, k, v, o;
    Matrix gate, up, down;
    // Per-layer embedding: gate [ple, d], projection [d, ple].
    Matrix ple_gate, ple_projection;
    const float* post_ple_norm = nullptr;
    // Mixture of experts: router [experts, d]; stacks with experts one after the other.
    Matrix router;
    const float* router_scale = nullptr;
    const float* expert_scale = nullptr;  // [experts]
    const float* pre_expert_norm = nullptr;
    const float* post_dense_norm = nullptr;
    const float* post_expert_norm = nullptr;
    Matrix expert_gate, expert_up, expert_down;  // [experts * width, ..]; fused: gate holds both
    bool experts_fused = false;
    // Static scales of an int8 KV cache; 0 = none in the file.
    float k_cache_scale = 0;
    float v_cache_scale = 0;
};

/// How many bytes of the file a decoder uses, for the memory plan.
struct WeightBytes {
    size_t always = 0;     // read for every token
    size_t looked_up = 0;  // tables of which single rows are read
};

struct TextWeights {
    EmbeddingTable embedding;
    EmbeddingTable ple;               // rows [vocab, layers * ple]
    Matrix ple_context;               // [layers * ple, d]
    const float* ple_norm = nullptr;  // [ple]
    const float* final_norm = nullptr;
    Matrix head;
    std::vector<LayerWeights> layers;
    WeightBytes bytes;
    size_t n_uncalibrated = 0;       // QAT: activation sides without a scale
    bool kv_scales_divided = false;  // QAT: 4-bit-style scales of global layers were taken / 16
    std::vector<std::unique_ptr<float[]>> vectors;  // what the float pointers point into
};

/// Binds every tensor the architecture needs. Errors: `not_found` or `corrupt` naming the tensor;
/// `fault_file`, when given, then receives the path of the file the tensor lies in.
Result<TextWeights> bind_text_weights(const Checkpoint& checkpoint, const ModelConfig& config,
                                      std::string* fault_file = nullptr);

}  // namespace gemlet
