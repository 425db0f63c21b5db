// What an error in a row of the embedding table does to the layers that read it.
#pragma once

#include "core/model/config.h"
#include "core/model/weights.h"
#include "quant/convert/error_feedback.h"

namespace gemlet {

/// Returns moments [d, d] under which an embedding row's error is what the first layers' readers of
/// the residual stream, and the per-layer projection, make of it: the sum over these matrices of
/// W^T W, with the norm in front of each folded in, each scaled to a trace of one. To be prepared
/// like those of a calibration. Empty (not present) without linear algebra.
InputMoments embedding_moments(const ModelConfig& config, const TextWeights& weights);

}  // namespace gemlet
