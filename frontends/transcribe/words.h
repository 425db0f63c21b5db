// Texts of neighbouring pieces put together, and texts cut into sentences.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace gemlet {

/// Where two texts are cut so that what was said once stands once.
struct Seam {
    size_t keep_bytes = 0;  // of the first text
    size_t skip_bytes = 0;  // of the second text
};

/// Finds the words that the end of `first` and the beginning of `second` have in common, because
/// both pieces hold the same second of sound. Case and punctuation do not count, longer words may
/// differ by a letter, and a word that the cut broke (the last of `first`, the first of `second`)
/// may stand besides. Without common words everything is kept, a broken beginning of a word apart.
Seam find_seam(std::string_view first, std::string_view second);

/// Appends with a blank between, where the scripts have blanks between words.
void append_text(std::string& text, std::string_view more);

/// Cuts into sentences, each with the white space after it; together they are the whole text.
/// A full stop after an abbreviation, an initial or inside a number ends none.
std::vector<std::string_view> split_sentences(std::string_view text);

/// The length of a text for sharing out time: characters (not bytes, no blanks), each of a script
/// without an alphabet counts as three.
size_t spoken_length(std::string_view text);

}  // namespace gemlet
