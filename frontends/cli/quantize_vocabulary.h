// The vocabulary of a Hugging Face directory in the form a GGUF file wants it.
#pragma once

#include <string>

#include "core/status.h"
#include "frontends/text/tokenizer/tokenizer.h"
#include "quant/convert/quantize.h"

namespace gemlet {

/// Reads tokenizer.json again for the merges as texts, and the chat template where there is one.
/// `tokenizer` is that of the same directory. Errors: those of reading the files.
Result<GgufVocabulary> gguf_vocabulary(const std::string& directory, const Tokenizer& tokenizer);

}  // namespace gemlet
