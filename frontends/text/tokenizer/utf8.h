// UTF-8 one step at a time: what stands at the front of some bytes. Strict: overlong forms,
// surrogates and values above U+10FFFF are broken (Unicode 15, table 3-7).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace gemlet {

enum class Utf8State : uint8_t {
    valid,
    broken,  // these bytes can never become a character
    cut,     // the bytes end inside what may still become a character
};

/// What stands at the front. `length` is the character's bytes, or of the longest beginning that
/// could have become one (at least 1).
struct Utf8Step {
    uint32_t code_point = 0;
    uint8_t length = 1;
    Utf8State state = Utf8State::broken;
};

/// U+2581, which vocabularies write for a blank, and U+FFFD, which stands for broken input.
inline constexpr std::string_view kBlankMark = "\xE2\x96\x81";
inline constexpr uint32_t kBlankMarkCodePoint = 0x2581;
inline constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
inline constexpr uint32_t kReplacementCodePoint = 0xFFFD;

/// Reads the front of `text`, which must not be empty.
inline Utf8Step next_utf8(std::string_view text) {
    const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
    const uint8_t lead = byte(0);
    if (lead < 0x80) {
        return {lead, 1, Utf8State::valid};
    }
    if (lead < 0xC2 || lead > 0xF4) {
        return {};
    }
    const size_t n = lead < 0xE0 ? 2U : (lead < 0xF0 ? 3U : 4U);
    // Only the second byte's range depends on the lead: no overlong forms, surrogates, or beyond.
    uint8_t low = lead == 0xE0 ? 0xA0 : (lead == 0xF0 ? 0x90 : 0x80);
    uint8_t high = lead == 0xED ? 0x9F : (lead == 0xF4 ? 0x8F : 0xBF);
    uint32_t code_point = lead & (0x7FU >> n);
    for (size_t i = 1; i < n; ++i) {
        if (i >= text.size()) {
            return {0, static_cast<uint8_t>(i), Utf8State::cut};
        }
        if (byte(i) < low || byte(i) > high) {
            return {0, static_cast<uint8_t>(i), Utf8State::broken};
        }
        code_point = (code_point << 6U) | (byte(i) & 0x3FU);
        low = 0x80;
        high = 0xBF;
    }
    return {code_point, static_cast<uint8_t>(n), Utf8State::valid};
}

}  // namespace gemlet
