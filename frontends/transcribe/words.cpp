// At a forced cut the model hears up to a second twice: a handful of words. They are looked for
// among the last and first twelve, as the longest run of equal words that leaves at most one broken
// word between itself and the cut.
#include "frontends/transcribe/words.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace gemlet {
namespace {

constexpr size_t kSeamWords = 12;

bool is_blank(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
// Bytes of other scripts count as letters.
bool is_letter(char c) {
    return is_upper(c) || (c >= 'a' && c <= 'z') || static_cast<uint8_t>(c) >= 0x80;
}

struct Word {
    size_t begin = 0;  // in the text
    size_t end = 0;
    std::string plain;  // letters and digits, small
};

std::vector<Word> words_of(std::string_view text) {
    std::vector<Word> words;
    for (size_t at = 0; at < text.size();) {
        if (is_blank(text[at])) {
            ++at;
            continue;
        }
        Word word;
        word.begin = at;
        for (; at < text.size() && !is_blank(text[at]); ++at) {
            const char c = text[at];
            if (is_upper(c)) {
                word.plain += static_cast<char>(c - 'A' + 'a');
            } else if (is_letter(c) || is_digit(c)) {
                word.plain += c;
            }
        }
        word.end = at;
        if (!word.plain.empty()) words.push_back(std::move(word));
    }
    return words;
}

/// At most one byte changed, missing or added, in words of at least five.
bool alike(const std::string& a, const std::string& b) {
    if (a == b) return true;
    constexpr size_t kLongWord = 5;
    const std::string& shorter = a.size() <= b.size() ? a : b;
    const std::string& longer = a.size() <= b.size() ? b : a;
    if (shorter.size() < kLongWord || longer.size() - shorter.size() > 1) return false;
    size_t front = 0;
    while (front < shorter.size() && shorter[front] == longer[front]) ++front;
    size_t back = 0;
    while (back < shorter.size() - front &&
           shorter[shorter.size() - 1 - back] == longer[longer.size() - 1 - back]) {
        ++back;
    }
    return front + back + 1 >= longer.size();
}

/// A word of which the cut left the beginning, or the end.
bool broken_part(const std::string& part, const std::string& whole, bool beginning) {
    constexpr size_t kLeast = 2;
    if (part.size() < kLeast || part.size() >= whole.size()) return false;
    return beginning ? whole.starts_with(part) : whole.ends_with(part);
}

uint32_t code_point(std::string_view text, size_t at) {
    const auto byte = [&](size_t i) {
        return at + i < text.size() ? static_cast<uint8_t>(text[at + i]) & 0x3FU : 0U;
    };
    const uint32_t lead = static_cast<uint8_t>(text[at]);
    if (lead < 0xC0) return lead;
    if (lead < 0xE0) return (lead & 0x1FU) << 6 | byte(1);
    if (lead < 0xF0) return (lead & 0x0FU) << 12 | byte(1) << 6 | byte(2);
    return (lead & 0x07U) << 18 | byte(1) << 12 | byte(2) << 6 | byte(3);
}

/// Scripts that write no blanks between words: Chinese, Japanese, Thai, Lao, Khmer, Burmese.
bool without_blanks(uint32_t c) {
    return (c >= 0x3000 && c <= 0x30FF) || (c >= 0x3400 && c <= 0x9FFF) ||
           (c >= 0xF900 && c <= 0xFAFF) || (c >= 0xFF00 && c <= 0xFFEF) ||
           (c >= 0x20000 && c <= 0x3FFFF) || (c >= 0x0E00 && c <= 0x0EFF) ||
           (c >= 0x1000 && c <= 0x109F) || (c >= 0x1780 && c <= 0x17FF);
}

uint32_t last_code_point(std::string_view text) {
    size_t at = text.size() - 1;
    while (at > 0 && (static_cast<uint8_t>(text[at]) & 0xC0U) == 0x80U) --at;
    return code_point(text, at);
}

constexpr std::array<std::string_view, 24> kAbbreviations = {
    "mr", "mrs", "ms",  "dr",     "prof", "st",  "sr", "jr",  "vs",  "etc", "no", "nr",
    "ca", "bzw", "usw", "approx", "inc",  "ltd", "co", "fig", "vol", "pp",  "cf", "z"};

bool is_abbreviation(std::string_view text, size_t stop) {
    size_t begin = stop;
    while (begin > 0 && (is_letter(text[begin - 1]) || text[begin - 1] == '.')) --begin;
    std::string word;
    for (const char c : text.substr(begin, stop - begin)) {
        word += is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c;
    }
    const bool initial = word.size() == 1 && is_upper(text[begin]) && word != "i";
    const bool dotted = word.find('.') != std::string::npos;  // e.g, U.S
    return initial || dotted ||
           std::find(kAbbreviations.begin(), kAbbreviations.end(), word) != kAbbreviations.end();
}

/// The length of the sentence end at `at`: a mark and the closing quotes after it; 0 for none.
size_t sentence_end(std::string_view text, size_t at) {
    constexpr std::array<std::string_view, 7> kMarks = {".",      "!",      "?",     "\u2026",
                                                        "\u3002", "\uFF01", "\uFF1F"};
    constexpr std::array<std::string_view, 6> kClosing = {"\"",     "'",      ")",
                                                          "\u201D", "\u2019", "\u300D"};
    const auto match = [&](const auto& list, size_t from) {
        for (const std::string_view item : list) {
            if (text.substr(from).starts_with(item)) return item.size();
        }
        return size_t{0};
    };
    size_t n = match(kMarks, at);
    if (n == 0) return 0;
    for (size_t more = n; more > 0;) {
        more = match(kMarks, at + n);
        if (more == 0) more = match(kClosing, at + n);
        n += more;
    }
    return n;
}

}  // namespace

Seam find_seam(std::string_view first, std::string_view second) {
    Seam seam = {first.size(), 0};
    const std::vector<Word> before = words_of(first);
    const std::vector<Word> after = words_of(second);
    if (before.empty() || after.empty()) return seam;
    const size_t from = before.size() > kSeamWords ? before.size() - kSeamWords : 0;
    const size_t to = std::min(after.size(), kSeamWords);
    size_t longest = 0;
    for (size_t i = from; i < before.size(); ++i) {
        for (size_t skipped = 0; skipped < std::min<size_t>(2, to); ++skipped) {
            size_t n = 0;
            while (i + n < before.size() && skipped + n < to &&
                   alike(before[i + n].plain, after[skipped + n].plain)) {
                ++n;
            }
            if (n <= longest || i + n + 1 < before.size()) continue;
            longest = n;
            // The second piece hears what follows, so its spelling of the last word is kept.
            seam.keep_bytes = i + n > 1 ? before[i + n - 2].end : 0;
            seam.skip_bytes = after[skipped + n - 1].begin;
        }
    }
    if (longest > 0) return seam;
    if (broken_part(before.back().plain, after.front().plain, true)) {
        seam.keep_bytes = before.size() > 1 ? before[before.size() - 2].end : 0;
    } else if (broken_part(after.front().plain, before.back().plain, false)) {
        seam.skip_bytes = after.front().end;
    }
    return seam;
}

void append_text(std::string& text, std::string_view more) {
    while (!text.empty() && is_blank(text.back())) text.pop_back();
    while (!more.empty() && is_blank(more.front())) more.remove_prefix(1);
    if (more.empty()) return;
    if (!text.empty() &&
        !(without_blanks(last_code_point(text)) && without_blanks(code_point(more, 0)))) {
        text += ' ';
    }
    text += more;
}

std::vector<std::string_view> split_sentences(std::string_view text) {
    std::vector<std::string_view> sentences;
    size_t begin = 0;
    for (size_t at = 0; at < text.size();) {
        const size_t mark = sentence_end(text, at);
        if (mark == 0) {
            ++at;
            continue;
        }
        const bool wide =
            static_cast<uint8_t>(text[at]) == 0xE3 || static_cast<uint8_t>(text[at]) == 0xEF;
        size_t end = at + mark;
        const bool blank_after = end < text.size() && is_blank(text[end]);
        while (end < text.size() && is_blank(text[end])) ++end;
        const bool small_after = end < text.size() && text[end] >= 'a' && text[end] <= 'z';
        const bool shortened = text[at] == '.' && is_abbreviation(text, at);
        if ((wide || (blank_after && !small_after && !shortened)) && end < text.size()) {
            sentences.push_back(text.substr(begin, end - begin));
            begin = end;
        }
        at = end;
    }
    if (begin < text.size()) sentences.push_back(text.substr(begin));
    return sentences;
}

size_t spoken_length(std::string_view text) {
    size_t length = 0;
    for (size_t at = 0; at < text.size(); ++at) {
        if ((static_cast<uint8_t>(text[at]) & 0xC0U) == 0x80U || is_blank(text[at])) continue;
        length += without_blanks(code_point(text, at)) ? 3 : 1;
    }
    return length;
}

}  // namespace gemlet
