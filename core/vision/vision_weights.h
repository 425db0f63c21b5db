// The weights of a vision encoder, bound to the mapped file by name and shape. Matrices stay where
// they lie; only vectors are widened to float.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "core/files/tensor_file.h"
#include "core/status.h"
#include "core/tower/tower_files.h"
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

    /// The matrices that int8 may replace.
    std::vector<TowerLinear*> layer_linears();
};

/// Binds every tensor the encoder needs. Errors: `not_found`, `corrupt` or `unsupported` naming the
/// tensor; `faulty`, when given, then receives the tensor, null if it is missing.
Result<VisionWeights> bind_vision_weights(const TowerSource& files, const VisionConfig& config,
                                          const TensorView** faulty = nullptr);

}  // namespace gemlet
