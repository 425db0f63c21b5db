// Hyper-parameters of a vision encoder, with every default filled in and every number checked,
// whether they came from config.json or from GGUF metadata.
#pragma once

#include <array>
#include <cstddef>
#include <string>

#include "core/files/gguf.h"
#include "core/json.h"
#include "core/status.h"

namespace gemlet {

enum class VisionKind : uint8_t {
    transformer,  // E2B, E4B, 26B-A4B, 31B
    embedder,     // 12B: one dense layer per patch of 48 pixels
};

struct VisionConfig {
    VisionKind kind = VisionKind::transformer;
    size_t width = 0;
    size_t n_layers = 0;  // transformer only, here to ffn_width
    size_t n_heads = 0;
    size_t n_kv_heads = 0;
    size_t head_dim = 0;
    size_t ffn_width = 0;
    size_t patch_side = 16;  // pixels, as the encoder takes them
    size_t pooling = 3;      // patches of a soft token along each side; embedder: 1
    size_t text_width = 0;
    float norm_eps = 1e-6F;
    float rope_theta = 100.0F;
    bool standardize = false;  // demands std_bias and std_scale
    bool planar = false;       // patch values go by channel, row, column (GGUF)
    // Pixels are (x - mean) / std before anything else.
    std::array<float, 3> mean = {0, 0, 0};
    std::array<float, 3> deviation = {1, 1, 1};

    size_t patch_dim() const { return patch_side * patch_side * 3; }
    size_t q_width() const { return n_heads * head_dim; }
    size_t kv_width() const { return n_kv_heads * head_dim; }
    /// Head size in memory: kernels want a multiple of 16.
    size_t padded_head_dim() const { return (head_dim + 15) / 16 * 16; }
};

/// Most soft tokens of a picture.
constexpr size_t kMaxSoftTokens = 1120;

/// Reads the vision part of config.json. Errors: `not_found` when the model has none, `corrupt` or
/// `unsupported` naming the key.
Result<VisionConfig> vision_config_from_json(const Json& document, size_t text_width);
/// Reads `clip.*` metadata of an mmproj file, or `gemma4.vision.*` of a model with its encoder in
/// the same file. Errors: the same.
Result<VisionConfig> vision_config_from_gguf(const GgufFile& file, size_t text_width);

}  // namespace gemlet
