// The weights of an audio encoder, bound to the mapped file by name and shape. Matrices stay where
// they lie; vectors and the small convolution kernels are widened to float.
#pragma once

#include <cstddef>
#include <vector>

#include "core/audio/audio_config.h"
#include "core/files/tensor_file.h"
#include "core/status.h"
#include "core/tower/tower_files.h"
#include "core/tower/tower_linear.h"
#include "core/tower/tower_tensors.h"

namespace gemlet {

/// One of the two feed-forward modules of a layer. Norms [width].
struct AudioFfn {
    const float* pre_norm = nullptr;
    const float* post_norm = nullptr;
    TowerLinear up, down;
};

/// Weights of one layer. Vectors are [width] unless said otherwise.
struct AudioLayer {
    AudioFfn first, second;
    const float* pre_attention_norm = nullptr;
    const float* post_attention_norm = nullptr;
    const float* pre_conv_norm = nullptr;  // before the convolution module
    const float* conv_norm = nullptr;      // inside it, after the depthwise step
    const float* output_norm = nullptr;
    const float* q_scale = nullptr;  // [head_dim], everything that queries are multiplied by
    const float* k_scale = nullptr;  // [head_dim]
    const float* taps = nullptr;     // [kAudioTaps, width], the last for the current position
    TowerLinear q, k, v, o;
    TowerLinear conv_start, conv_end;
    TowerLinear distance;  // [width, width], read once at opening
};

struct AudioWeights {
    // The two convolutions as products, their rows' columns in order of time, frequency, channel.
    TowerLinear first_conv;              // [first_channels, 9]
    TowerLinear second_conv;             // [second_channels, 9 * first_channels]
    const float* first_norm = nullptr;   // [first_channels]
    const float* second_norm = nullptr;  // [second_channels]
    TowerLinear input;                   // [width, subsampled_width]
    std::vector<AudioLayer> layers;
    TowerLinear output;                  // [output_width, width]
    const float* output_bias = nullptr;  // [output_width]
    const float* soft_norm = nullptr;    // [output_width], null in released models
    TowerLinear projector;               // [text_width, output_width]
    TowerStore store;

    /// The matrices that int8 may replace.
    std::vector<TowerLinear*> layer_linears();
};

/// Binds every tensor the encoder needs. Errors: `not_found`, `corrupt` or `unsupported` naming the
/// tensor; `faulty`, when given, then receives the tensor, null if it is missing.
Result<AudioWeights> bind_audio_weights(const TowerSource& files, const AudioConfig& config,
                                        const TensorView** faulty = nullptr);

}  // namespace gemlet
