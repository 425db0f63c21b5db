// Notices when a model says the same thing again and again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace gemlet {

/// Returns the length of the sequence that the end of `tokens` repeats: at least four times and
/// over at least 24 tokens (so a telephone number of one digit is none); 0 when there is no such
/// loop. Sequences of up to 40 tokens are found. Cheap enough to ask after every token.
size_t loop_period(std::span<const int32_t> tokens);

/// Returns how many of the tokens to keep so that a loop at the end is left in once.
size_t without_loop(std::span<const int32_t> tokens);

/// Returns the size of a text divided by its compressed size (deflate with its header, as other
/// programs report it): above 2.4 a text repeats itself. 0 for an empty text.
float compression_ratio(std::string_view text);

}  // namespace gemlet
