// What a model's directory says about making frames of sound.
#pragma once

#include <string>

#include "core/audio/audio_config.h"
#include "core/status.h"

namespace gemlet {

/// Compares the settings in a model directory (feature_extractor of processor_config.json, or
/// preprocessor_config.json) with the only ones that frontends/audio computes. Nothing is wrong
/// where there is no such file or setting, nor with GGUF files. `fault_file` receives the file's
/// path. Errors: `unsupported` naming the setting; `corrupt`, `io`.
Status check_sound_features(const std::string& model, AudioKind kind, std::string& fault_file);

}  // namespace gemlet
