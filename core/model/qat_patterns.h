// The width that a QAT mobile config.json declares for a module.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "core/json.h"

namespace gemlet {

/// Returns the declared bits of `module` ("model.language_model.layers.3.mlp.up_proj", "lm_head"):
/// that of the first pattern which matches, else the default. Empty when a pattern uses more than
/// the subset the published files need (literals, \d, \d+, [a-b], one level of groups, ^ and $), or
/// when the config says nothing usable.
std::optional<size_t> declared_bits(const Json& quantization_config, std::string_view module);

}  // namespace gemlet
