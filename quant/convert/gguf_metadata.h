// Metadata of the GGUF file that a checkpoint becomes.
#pragma once

#include "core/model/checkpoint.h"
#include "quant/convert/gguf_writer.h"
#include "quant/convert/quantize.h"

namespace gemlet {

/// Copies a GGUF source's metadata, or makes it from a directory's configuration and the
/// vocabulary. Errors: `bad_argument` when a directory comes without vocabulary, or one of another
/// size.
Result<GgufMetadata> gguf_metadata(const Checkpoint& source, const Scheme& scheme,
                                   const GgufVocabulary* vocabulary);

/// What rope_freqs.weight holds for this configuration: a divisor for every pair of a global head.
std::vector<float> rope_divisors(const ModelConfig& config);

}  // namespace gemlet
