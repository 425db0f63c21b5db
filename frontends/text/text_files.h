// What a model's files say about text: the vocabulary, which chat template it was trained with, how
// its makers sample. Reads these parts only, never the weights.
#pragma once

#include <memory>
#include <string>

#include "core/engine/sampler.h"
#include "core/files/gguf.h"
#include "core/status.h"
#include "frontends/text/chat/template_kind.h"
#include "frontends/text/tokenizer/tokenizer.h"

namespace gemlet {

/// A Hugging Face directory or a GGUF file, also one with a vocabulary only.
class TextFiles {
  public:
    /// Errors: those of GgufFile::open; `not_found` where there is nothing of that name. What a
    /// directory lacks is reported by the functions below.
    static Result<TextFiles> open(const std::string& path);
    /// The same for a GGUF file that is open already and outlives this.
    static TextFiles of(const GgufFile& file, const std::string& path);

    const std::string& path() const { return path_; }

    /// Errors: those of tokenizer_from_gguf and tokenizer_from_directory.
    Result<Tokenizer> tokenizer() const;
    /// Chooses by the model's shape and the template that came with it. A model without readable
    /// configuration is chosen for by its template alone.
    /// Errors: `io` and `corrupt` for a template that cannot be read.
    Result<chat::TemplateChoice> chat_template() const;
    /// The model's own sampling settings, and the family's where it has none. Where the model says
    /// `do_sample: false` the temperature is 0. Errors: `io`, `corrupt`, `bad_argument`.
    Result<SamplerOptions> sampling() const;

  private:
    std::string path_;
    std::shared_ptr<const GgufFile> gguf_;  // null: a directory
};

}  // namespace gemlet
