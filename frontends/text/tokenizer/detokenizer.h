// Token ids to text: all at once, or one id at a time as a model produces them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/status.h"
#include "frontends/text/tokenizer/vocabulary.h"

namespace gemlet {

/// Returns the bytes of the ids; they need not be UTF-8. `skip_special` leaves out all specials,
/// also the tags a reply's parser needs.
/// Errors: `bad_argument` for an id outside the vocabulary; the number is the id.
Result<std::string> detokenize_bytes(const Vocabulary& vocabulary, std::span<const int32_t> ids,
                                     bool skip_special);

/// The same as text for people: each longest broken sequence becomes one U+FFFD.
Result<std::string> detokenize(const Vocabulary& vocabulary, std::span<const int32_t> ids,
                               bool skip_special);

/// Returns `bytes` as well-formed UTF-8, each longest broken sequence replaced by one U+FFFD.
std::string replace_broken_utf8(std::string_view bytes);

/// Turns ids into text as they come and never shows half a character: up to three bytes wait for
/// their rest. The vocabulary must stay where it is. Allocates at construction only; one thread.
class StreamDetokenizer {
  public:
    StreamDetokenizer(const Vocabulary& vocabulary, bool skip_special);

    /// Returns what may be shown now, well-formed UTF-8, valid until the next call. An id outside
    /// the vocabulary, which is the caller's mistake, shows as U+FFFD.
    std::string_view push(int32_t id);

    /// Ends the text: returns U+FFFD where a character is incomplete, and starts anew.
    std::string_view flush();

  private:
    const Vocabulary* vocabulary_;
    bool skip_special_;
    size_t n_input_ = 0;        // bytes that wait
    std::vector<char> input_;   // [longest piece + 3]
    std::vector<char> output_;  // [3 * input]: each byte may become a U+FFFD
};

}  // namespace gemlet
