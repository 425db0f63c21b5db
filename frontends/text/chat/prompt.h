// A rendered prompt: text in which only what the renderer itself wrote can be a special token.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gemlet::chat {

/// A stretch of a prompt. Trusted: exactly one special string, to become its id. Not trusted:
/// ordinary text to encode without looking for specials, as long as it can be, so that markup words
/// and the values between them are encoded together, as in the whole string.
struct PromptSegment {
    std::string text;
    bool trusted = false;

    friend bool operator==(const PromptSegment&, const PromptSegment&) = default;
};

using Prompt = std::vector<PromptSegment>;

/// Returns the prompt as one string: what the model's own template would print.
std::string join_prompt(const Prompt& prompt);

/// Appends to a prompt, keeping its invariant: no two neighbouring untrusted segments, none empty.
class PromptWriter {
  public:
    /// Appends a special string; becomes one token id.
    PromptWriter& special(std::string_view text);
    /// Appends ordinary text, whoever wrote it.
    PromptWriter& plain(std::string_view text);
    /// Appends text between two quote tokens.
    PromptWriter& quoted(std::string_view text);

    Prompt take() && { return std::move(prompt_); }

  private:
    Prompt prompt_;
};

}  // namespace gemlet::chat
