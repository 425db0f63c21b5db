// What `gemlet quantize` runs through a model: texts, pictures and sounds as prompts.
#pragma once

#include <string>
#include <vector>

#include "frontends/cli/options.h"
#include "frontends/text/tokenizer/tokenizer.h"
#include "quant/convert/calibration.h"

namespace gemlet {

/// Prompts of the files of --calibration or, without any, of the text, pictures and sounds that
/// come with the program; the latter as the model's own encoders see them, where it has these.
/// `fault_file` receives the path of the file an error is about.
Status collect_prompts(const Options& options, const Tokenizer& tokenizer,
                       std::vector<CalibrationPrompt>& prompts, std::string& fault_file);

}  // namespace gemlet
