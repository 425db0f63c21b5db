// A checkpoint in the layout of the QAT mobile files: integers with one scale per row, static
// scales of activations and of the KV cache.
#pragma once

#include <string>
#include <vector>

#include "core/model/checkpoint.h"
#include "core/status.h"
#include "quant/convert/calibration.h"
#include "quant/convert/quantize.h"

namespace gemlet {

/// Writes `source`, a Hugging Face directory, quantised as the new directory `path`: the text
/// model's linears and tables and the towers' linears become integers, projectors, convolutions
/// and norms stay as they are, and the small files beside the weights are copied. The scales of
/// activations are those that the prompts show, so there must be some. Errors: as quantize_to_gguf;
/// `bad_argument` without prompts, `unsupported` for a GGUF source or a mixture of experts, `io`
/// where `path` exists.
Result<QuantizeReport> quantize_to_mobile(const Checkpoint& source, const std::string& path,
                                          const QuantizeOptions& options,
                                          std::vector<CalibrationPrompt> prompts);

/// config.json of the new checkpoint.
Json mobile_config(const Json& config, const Scheme& scheme, const ModelConfig& model);

}  // namespace gemlet
