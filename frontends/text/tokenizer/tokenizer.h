// Text to token ids. Decoding is in detokenizer.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/files/gguf.h"
#include "core/status.h"
#include "frontends/text/tokenizer/text_matcher.h"
#include "frontends/text/tokenizer/vocabulary.h"

namespace gemlet {

/// A stretch of a prompt. Trusted text is markup that the program itself writes: special texts in
/// it become their ids. Everything from a user, a file, a tool or the web is not trusted.
struct TextSegment {
    std::string_view text;
    bool trusted = false;
};

/// Immutable after construction, safe from several threads, independent of the locale.
class Tokenizer {
  public:
    explicit Tokenizer(Vocabulary vocabulary);

    const Vocabulary& vocabulary() const { return vocabulary_; }

    /// Returns the ids of `text`, without BOS or EOS. Broken UTF-8 bytes count as U+FFFD each.
    /// With `parse_special` the special texts become their ids: for trusted text only.
    std::vector<int32_t> encode(std::string_view text, bool parse_special = false) const;

    /// Returns the ids of the segments in order. Specials count in trusted segments only; all text
    /// between two of them is encoded as one, so that seams between segments leave no trace.
    std::vector<int32_t> encode_segments(std::span<const TextSegment> segments) const;

    /// Returns how many ids `encode` gives.
    size_t count(std::string_view text, bool parse_special = false) const;

    size_t vocabulary_size() const { return vocabulary_.size(); }
    /// As Vocabulary's functions of the same names.
    std::string_view piece(int32_t id) const { return vocabulary_.piece(id); }
    PieceType type(int32_t id) const { return vocabulary_.type(id); }
    bool is_special(int32_t id) const { return vocabulary_.is_special(id); }
    bool is_stop(int32_t id) const { return vocabulary_.is_stop(id); }
    int32_t id_of(std::string_view text) const { return vocabulary_.id_of(text); }

  private:
    Vocabulary vocabulary_;
    TextMatcher literals_;  // matched in any text
    TextMatcher all_;       // literals and specials
};

/// A tokenizer of a GGUF file or a Hugging Face directory. Errors: those of vocabulary_from_gguf
/// and vocabulary_from_directory.
Result<Tokenizer> tokenizer_from_gguf(const GgufFile& file);
Result<Tokenizer> tokenizer_from_directory(const std::string& path);

}  // namespace gemlet
