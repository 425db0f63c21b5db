// The weights of a vision encoder, bound to the mapped file by name and shape. Matrices stay where
// they lie; only vectors are widened to float.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "core/files/tensor_file.h"
#include "core/json.h"
#include "core/memory/plan.h"
#include "core/status.h"
#include "core/tower/tower_linear.h"
#include "core/tower/tower_tensors.h"
#include "core/vision/vision_config.h"

namespace gemlet {

/// Weights of one layer. Vectors are [width] unless said otherwise.
struct VisionLayer {
    const float* input_norm = nullptr;
    const float* post_attention_norm = nullptr;
    const float* pre_ffn_norm = nullptr;
    const float* post_ffn_norm = nullptr;
    const float* q_norm = nullptr;        // [head_dim]
    const float* k_norm = nullptr;        // [head_dim]
    const float* output_scale = nullptr;  // null in released models
    TowerLinear q, k, v, o;
    TowerLinear gate, up, down;
};

/// Weight and bias of a LayerNorm.
struct LayerNormWeights {
    const float* weight = nullptr;
    const float* bias = nullptr;
};

struct VisionWeights {
    TowerLinear patch;                  // [width, patch_dim]
    const float* patch_bias = nullptr;  // embedder
    // Rows of width floats: that of coordinate x is position_stride * x, that of y is
    // position_offset + position_stride * y.
    Matrix positions;
    size_t n_positions = 0;
    size_t position_stride = 1;
    size_t position_offset = 0;
    std::vector<VisionLayer> layers;
    const float* std_bias = nullptr;  // null: not standardised
    const float* std_scale = nullptr;
    LayerNormWeights norm_patch, norm_dense, norm_positions;  // embedder
    TowerLinear projector;                                    // [text_width, width]
    TowerStore store;
};

/// Where a vision encoder's tensors lie.
struct VisionTensors {
    std::span<const TensorView> tensors;  // sorted by name
    const Json* quantization = nullptr;   // config.json's, of a QAT mobile checkpoint
    bool is_gguf = false;
};

/// Binds every tensor the encoder needs. Errors: `not_found`, `corrupt` or `unsupported` naming the
/// tensor; `faulty`, when given, then receives the tensor, null if it is missing.
Result<VisionWeights> bind_vision_weights(const VisionTensors& files, const VisionConfig& config,
                                          const TensorView** faulty = nullptr);

/// Whether int8 was asked for and changes anything: the float matrices of the layers are then
/// quantised at load into memory of their own.
bool can_quantise_vision(const VisionWeights& weights);

/// Memory of the quantised matrices.
struct QuantisedVision {
    uint8_t* codes = nullptr;
    float* scales = nullptr;

    void plan(const VisionWeights& weights, MemoryPlan& plan);
    /// Fills the planned memory and points the layers' matrices to it.
    void fill(VisionWeights& weights) const;
};

}  // namespace gemlet
