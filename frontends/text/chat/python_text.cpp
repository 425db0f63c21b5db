// Python's text functions over UTF-8. Case mapping uses generated tables of ranges; what Python
// decides from context (the final sigma) is decided here. str() of floats is the shortest spelling
// that reads back the same, in Python's layout.
#include "frontends/text/chat/python_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <iterator>

#include "frontends/text/chat/gen/case_tables.h"

namespace gemlet::chat {
namespace {

constexpr char32_t kBadByte = 0xFFFFFFFF;

struct CodePoint {
    char32_t value;  // kBadByte for a byte that starts no character
    size_t n_bytes;
};

CodePoint read_code_point(std::string_view text) {
    const auto lead = static_cast<uint8_t>(text[0]);
    if (lead < 0x80) return {lead, 1};
    size_t n_bytes = 0;
    if (lead >= 0xC2 && lead < 0xE0) n_bytes = 2;
    if (lead >= 0xE0 && lead < 0xF0) n_bytes = 3;
    if (lead >= 0xF0 && lead < 0xF5) n_bytes = 4;
    if (n_bytes == 0 || text.size() < n_bytes) return {kBadByte, 1};
    char32_t value = lead & (0x7FU >> n_bytes);
    for (size_t i = 1; i < n_bytes; ++i) {
        const auto byte = static_cast<uint8_t>(text[i]);
        if ((byte & 0xC0U) != 0x80) return {kBadByte, 1};
        value = (value << 6U) | (byte & 0x3FU);
    }
    return {value, n_bytes};
}

void append_utf8(std::string& out, char32_t value) {
    const auto put = [&out](char32_t byte) { out += static_cast<char>(byte); };
    if (value < 0x80) {
        put(value);
    } else if (value < 0x800) {
        put(0xC0U | (value >> 6U));
        put(0x80U | (value & 0x3FU));
    } else if (value < 0x10000) {
        put(0xE0U | (value >> 12U));
        put(0x80U | ((value >> 6U) & 0x3FU));
        put(0x80U | (value & 0x3FU));
    } else {
        put(0xF0U | (value >> 18U));
        put(0x80U | ((value >> 12U) & 0x3FU));
        put(0x80U | ((value >> 6U) & 0x3FU));
        put(0x80U | (value & 0x3FU));
    }
}

bool is_space(char32_t c) {
    return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
           c == 0x202F || c == 0x205F || c == 0x3000;
}

template <size_t N>
const gen::CaseRange* find_range(const gen::CaseRange (&ranges)[N], char32_t c) {
    const auto* end = std::end(ranges);
    const auto* at = std::lower_bound(std::begin(ranges), end, c,
                                      [](const auto& range, char32_t x) { return range.last < x; });
    if (at == end || c < at->first || (c - at->first) % at->step != 0) return nullptr;
    return at;
}

template <size_t N>
const gen::CaseSpecial* find_special(const gen::CaseSpecial (&specials)[N], char32_t c) {
    const auto* end = std::end(specials);
    const auto* at = std::lower_bound(std::begin(specials), end, c,
                                      [](const auto& entry, char32_t x) { return entry.from < x; });
    return at == end || at->from != c ? nullptr : at;
}

template <size_t N, size_t M>
void append_mapped(std::string& out, std::string_view bytes, char32_t c,
                   const gen::CaseRange (&ranges)[N], const gen::CaseSpecial (&specials)[M]) {
    if (const auto* range = find_range(ranges, c); range != nullptr) {
        append_utf8(out, static_cast<char32_t>(static_cast<int64_t>(c) + range->distance));
    } else if (const auto* special = find_special(specials, c); special != nullptr) {
        out += special->to;
    } else {
        out += bytes;
    }
}

bool has_case(char32_t c) {
    return find_range(gen::kLowerRanges, c) != nullptr ||
           find_range(gen::kUpperRanges, c) != nullptr ||
           find_special(gen::kUpperSpecials, c) != nullptr;
}

// What the search for a neighbouring letter skips around a sigma: marks and mid-word punctuation.
bool is_case_ignorable(char32_t c) {
    return c == '\'' || c == '.' || c == ':' || c == '^' || c == '`' || c == 0xA8 || c == 0xAD ||
           c == 0xAF || c == 0xB4 || c == 0xB7 || c == 0xB8 || (c >= 0x2B0 && c <= 0x36F) ||
           c == 0x2018 || c == 0x2019 || (c >= 0x200B && c <= 0x200F);
}

bool starts_with_cased(std::string_view text) {
    while (!text.empty()) {
        const CodePoint point = read_code_point(text);
        if (!is_case_ignorable(point.value)) return has_case(point.value);
        text.remove_prefix(point.n_bytes);
    }
    return false;
}

// Python prints these as escapes: controls, separators, format and private characters, and what
// stands in no block. Unassigned characters inside the blocks are taken for printable.
bool is_printable(char32_t c) {
    if (c < 0x7F) return c >= 0x20;
    if (c <= 0xA0 || c == 0xAD) return false;
    const bool format = (c >= 0x600 && c <= 0x605) || c == 0x61C || c == 0x6DD || c == 0x70F ||
                        c == 0x180E || (c >= 0x200B && c <= 0x200F) ||
                        (c >= 0x202A && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) ||
                        c == 0xFEFF || (c >= 0xFFF0 && c <= 0xFFFB);
    const bool outside = (c >= 0xD800 && c <= 0xF8FF) || (c & 0xFFFEU) == 0xFFFE ||
                         (c >= 0xE0000 && c < 0xE0100) || c >= 0xE01F0;
    return !format && !outside && !is_space(c);
}

void append_escape(std::string& out, char32_t c) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    size_t n_digits = 2;
    out += '\\';
    if (c > 0xFFFF) {
        n_digits = 8;
        out += 'U';
    } else if (c > 0xFF) {
        n_digits = 4;
        out += 'u';
    } else {
        out += 'x';
    }
    while (n_digits-- > 0) out += kDigits[(c >> (4 * n_digits)) & 15U];
}

void append_repr(std::string& out, std::string_view text) {
    const bool has_single = text.find('\'') != std::string_view::npos;
    const bool has_double = text.find('"') != std::string_view::npos;
    const char quote = has_single && !has_double ? '"' : '\'';
    out += quote;
    while (!text.empty()) {
        const CodePoint point = read_code_point(text);
        const char32_t c = point.value;
        if (c == static_cast<char32_t>(quote) || c == '\\') {
            out += '\\';
            out += static_cast<char>(c);
        } else if (c == '\n') {
            out += "\\n";
        } else if (c == '\r') {
            out += "\\r";
        } else if (c == '\t') {
            out += "\\t";
        } else if (c == kBadByte || is_printable(c)) {
            out += text.substr(0, point.n_bytes);
        } else {
            append_escape(out, c);
        }
        text.remove_prefix(point.n_bytes);
    }
    out += quote;
}

// repr(float): fixed notation for decimal exponents -4 to 15, otherwise d.ddde+XX.
std::string float_text(double value) {
    if (std::isnan(value)) return "nan";
    if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
    std::array<char, 40> buffer = {};
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                   std::chars_format::scientific)
                         .ptr;
    const std::string_view spelled(buffer.data(), static_cast<size_t>(end - buffer.data()));
    const size_t at = spelled.find('e');
    int exponent = 0;
    const size_t digits_at = at + (spelled[at + 1] == '+' ? 2 : 1);
    std::from_chars(spelled.data() + digits_at, spelled.data() + spelled.size(), exponent);
    if (exponent < -4 || exponent >= 16) return std::string(spelled);

    std::string out = value < 0 || std::signbit(value) ? "-" : "";
    std::string digits;
    for (const char c : spelled.substr(0, at)) {
        if (c >= '0' && c <= '9') digits += c;
    }
    if (exponent < 0)
        return out + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
    const size_t n_whole = static_cast<size_t>(exponent) + 1;
    if (digits.size() <= n_whole) digits.append(n_whole - digits.size() + 1, '0');
    return out + digits.substr(0, n_whole) + "." + digits.substr(n_whole);
}

std::string number_text(const Json& value) {
    if (!value.is_integer) return float_text(value.number);
    return value.text == "-0" ? "0" : value.text;
}

void append_python(std::string& out, const Json& value, bool quoted) {
    switch (value.kind) {
        case Json::Kind::null:
            out += "None";
            break;
        case Json::Kind::boolean:
            out += value.boolean ? "True" : "False";
            break;
        case Json::Kind::number:
            out += number_text(value);
            break;
        case Json::Kind::string:
            if (quoted) {
                append_repr(out, value.text);
            } else {
                out += value.text;
            }
            break;
        case Json::Kind::array:
            out += '[';
            for (size_t i = 0; i < value.items.size(); ++i) {
                if (i != 0) out += ", ";
                append_python(out, value.items[i], true);
            }
            out += ']';
            break;
        case Json::Kind::object:
            out += '{';
            for (size_t i = 0; i < value.members.size(); ++i) {
                if (i != 0) out += ", ";
                append_repr(out, value.members[i].first);
                out += ": ";
                append_python(out, value.members[i].second, true);
            }
            out += '}';
            break;
    }
}

// Booleans are numbers to Python.
bool is_numeric(const Json& value) { return value.is_number() || value.is_bool(); }

double numeric(const Json& value) {
    return value.is_bool() ? (value.boolean ? 1.0 : 0.0) : value.number;
}

bool equal_values(const Json& a, const Json& b) {
    if (is_numeric(a) && is_numeric(b)) {
        // Integers of any size are equal by their digits, not by their nearest double.
        if (a.is_integer && b.is_integer) return number_text(a) == number_text(b);
        return numeric(a) == numeric(b);
    }
    if (a.kind != b.kind) return false;
    if (a.is_string()) return a.text == b.text;
    if (a.is_array()) {
        return std::equal(a.items.begin(), a.items.end(), b.items.begin(), b.items.end(),
                          equal_values);
    }
    if (a.is_object()) {
        if (a.members.size() != b.members.size()) return false;
        return std::all_of(a.members.begin(), a.members.end(), [&b](const Json::Member& member) {
            const Json* other = b.find(member.first);
            return other != nullptr && equal_values(member.second, *other);
        });
    }
    return true;
}

}  // namespace

std::string_view python_lstrip(std::string_view text) {
    while (!text.empty()) {
        const CodePoint point = read_code_point(text);
        if (!is_space(point.value)) break;
        text.remove_prefix(point.n_bytes);
    }
    return text;
}

std::string_view python_strip(std::string_view text) {
    text = python_lstrip(text);
    while (!text.empty()) {
        size_t start = text.size() - 1;  // of the last character
        while (start > 0 && (static_cast<uint8_t>(text[start]) & 0xC0U) == 0x80) --start;
        const CodePoint point = read_code_point(text.substr(start));
        if (start + point.n_bytes != text.size() || !is_space(point.value)) break;
        text = text.substr(0, start);
    }
    return text;
}

std::string python_lower(std::string_view text) {
    constexpr char32_t kSigma = 0x3A3;
    std::string out;
    out.reserve(text.size());
    bool after_cased = false;  // the last character that counts was a letter with case
    while (!text.empty()) {
        const CodePoint point = read_code_point(text);
        const std::string_view bytes = text.substr(0, point.n_bytes);
        text.remove_prefix(point.n_bytes);
        if (point.value == kSigma && after_cased && !starts_with_cased(text)) {
            append_utf8(out, 0x3C2);
        } else {
            append_mapped(out, bytes, point.value, gen::kLowerRanges, gen::kLowerSpecials);
        }
        if (!is_case_ignorable(point.value)) after_cased = has_case(point.value);
    }
    return out;
}

std::string python_upper(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        const CodePoint point = read_code_point(text);
        append_mapped(out, text.substr(0, point.n_bytes), point.value, gen::kUpperRanges,
                      gen::kUpperSpecials);
        text.remove_prefix(point.n_bytes);
    }
    return out;
}

std::string python_str(const Json& value) {
    std::string out;
    append_python(out, value, false);
    return out;
}

bool is_truthy(const Json* value) {
    if (value == nullptr) return false;
    switch (value->kind) {
        case Json::Kind::null:
            return false;
        case Json::Kind::boolean:
            return value->boolean;
        case Json::Kind::number:
            return value->number != 0;
        case Json::Kind::string:
            return !value->text.empty();
        case Json::Kind::array:
            return !value->items.empty();
        case Json::Kind::object:
            return !value->members.empty();
    }
    return false;
}

bool python_equal(const Json* a, const Json* b) {
    const bool a_none = a == nullptr || a->is_null();
    const bool b_none = b == nullptr || b->is_null();
    if (a_none || b_none) return a_none && b_none;
    return equal_values(*a, *b);
}

std::vector<const Json::Member*> sorted_members(const Json& object) {
    std::vector<std::pair<std::string, const Json::Member*>> keyed;
    keyed.reserve(object.members.size());
    for (const Json::Member& member : object.members) {
        keyed.emplace_back(python_lower(member.first), &member);
    }
    // Bytes of UTF-8 compare like code points.
    std::stable_sort(keyed.begin(), keyed.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<const Json::Member*> out;
    out.reserve(keyed.size());
    for (const auto& entry : keyed) out.push_back(entry.second);
    return out;
}

Result<std::vector<std::string>> element_texts(const Json& value) {
    std::vector<std::string> out;
    if (value.is_array()) {
        for (const Json& item : value.items) out.push_back(python_str(item));
    } else if (value.is_object()) {
        for (const Json::Member& member : value.members) out.push_back(member.first);
    } else if (value.is_string()) {
        std::string_view rest = value.text;
        while (!rest.empty()) {
            const size_t n_bytes = read_code_point(rest).n_bytes;
            out.emplace_back(rest.substr(0, n_bytes));
            rest.remove_prefix(n_bytes);
        }
    } else {
        return Status(StatusCode::bad_argument, "a list was expected here", python_str(value));
    }
    return out;
}

bool depth_within(const Json& value, size_t limit) {
    if (limit == 0) return false;
    for (const Json& item : value.items) {
        if (!depth_within(item, limit - 1)) return false;
    }
    return std::all_of(value.members.begin(), value.members.end(), [limit](const auto& member) {
        return depth_within(member.second, limit - 1);
    });
}

}  // namespace gemlet::chat
