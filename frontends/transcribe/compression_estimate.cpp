// The compression ratio where zlib is left out: what a dictionary coder would need, by the same
// prices as deflate's on text (about 6 bits a letter, 20 bits a repeat, 8 bytes of header).
#include "frontends/transcribe/loop_guard.h"

namespace gemlet {

float compression_ratio(std::string_view text) {
    constexpr size_t kLetterBits = 6;
    constexpr size_t kRepeatBits = 20;
    constexpr size_t kHeaderBits = 64;
    constexpr size_t kLongestRepeat = 258;
    constexpr size_t kReach = 4096;  // keeps the search short
    if (text.empty()) return 0;
    size_t bits = kHeaderBits;
    for (size_t at = 0; at < text.size();) {
        size_t longest = 0;
        for (size_t from = at > kReach ? at - kReach : 0; from < at; ++from) {
            size_t n = 0;
            while (n < kLongestRepeat && at + n < text.size() && text[from + n] == text[at + n]) {
                ++n;
            }
            if (n > longest) longest = n;
        }
        const bool pays = longest * kLetterBits > kRepeatBits;
        bits += pays ? kRepeatBits : kLetterBits;
        at += pays ? longest : 1;
    }
    constexpr size_t kByteBits = 8;
    return static_cast<float>(text.size() * kByteBits) / static_cast<float>(bits);
}

}  // namespace gemlet
