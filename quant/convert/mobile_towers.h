// The encoders of pictures and sounds in a mobile file: which of their matrices become integers.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/checkpoint.h"
#include "core/model/weights.h"
#include "quant/convert/scheme.h"

namespace gemlet {

/// A linear layer of an encoder, and the static scales that its bounds imply.
struct TowerModule {
    std::string module;     // "model.vision_tower....q_proj.linear"
    Matrix weight;          // in the source
    float input_scale = 0;  // 0: that side is not quantised
    float output_scale = 0;
};

/// Whether `name` is the weight of such a layer. These are the layers that the published mobile
/// files quantise: the inner modules of clipped linears, no projector, no convolution.
bool is_tower_linear(std::string_view name);

/// All of a checkpoint, in the order of its tensors.
std::vector<TowerModule> find_towers(const Checkpoint& source);

/// Bits of a layer's codes: 8 for pictures as published. The published 2 bits for sounds are a
/// matter of training; what is rounded afterwards gets the scheme's width.
size_t tower_bits(const Scheme& scheme, std::string_view module);

}  // namespace gemlet
