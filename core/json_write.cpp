// Writes JSON values. Strings are meant to be UTF-8; a byte that is not part of a well-formed
// sequence (a token cut in the middle of a character) becomes U+FFFD, so that the output is always
// valid JSON.
#include <array>
#include <string>

#include "core/json.h"

namespace gemlet {
namespace {

constexpr char32_t kReplacement = 0xFFFD;

struct CodePoint {
    char32_t value;
    size_t n_bytes;
    bool valid;
};

// Reads the sequence at the start of text (not empty), which begins with a byte of 0x80 or more.
// Source: Unicode 15, table 3-7 (well-formed UTF-8 byte sequences); an ill-formed one counts as
// long as its longest prefix that could have become well-formed.
CodePoint read_code_point(std::string_view text) {
    const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
    const uint8_t lead = byte(0);
    size_t n_bytes = 0;
    uint8_t low = 0x80;  // bounds of the second byte
    uint8_t high = 0xBF;
    if (lead >= 0xC2 && lead <= 0xDF) {
        n_bytes = 2;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
        n_bytes = 3;
        if (lead == 0xE0) low = 0xA0;   // shorter forms
        if (lead == 0xED) high = 0x9F;  // surrogates
    } else if (lead >= 0xF0 && lead <= 0xF4) {
        n_bytes = 4;
        if (lead == 0xF0) low = 0x90;
        if (lead == 0xF4) high = 0x8F;  // beyond U+10FFFF
    } else {
        return {kReplacement, 1, false};
    }
    char32_t value = lead & (0x7FU >> n_bytes);
    for (size_t i = 1; i < n_bytes; ++i) {
        if (i >= text.size() || byte(i) < low || byte(i) > high) return {kReplacement, i, false};
        value = (value << 6U) | (byte(i) & 0x3FU);
        low = 0x80;
        high = 0xBF;
    }
    return {value, n_bytes, true};
}

void append_unit(std::string& out, uint32_t unit) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    out += "\\u";
    for (uint32_t shift = 16; shift != 0;) {
        shift -= 4;
        out += kDigits[(unit >> shift) & 15U];
    }
}

void append_escaped(std::string& out, char32_t value) {
    if (value < 0x10000) {
        append_unit(out, value);
    } else {
        append_unit(out, 0xD800U + ((value - 0x10000U) >> 10U));
        append_unit(out, 0xDC00U + ((value - 0x10000U) & 0x3FFU));
    }
}

void append_ascii(std::string& out, char c) {
    switch (c) {
        case '"':
            out += "\\\"";
            break;
        case '\\':
            out += "\\\\";
            break;
        case '\b':
            out += "\\b";
            break;
        case '\f':
            out += "\\f";
            break;
        case '\n':
            out += "\\n";
            break;
        case '\r':
            out += "\\r";
            break;
        case '\t':
            out += "\\t";
            break;
        default:
            if (static_cast<uint8_t>(c) < 0x20) {
                append_unit(out, static_cast<uint8_t>(c));
            } else {
                out += c;
            }
    }
}

void append_string(std::string& out, std::string_view text, bool ascii) {
    out += '"';
    while (!text.empty()) {
        size_t n_bytes = 1;
        if (static_cast<uint8_t>(text[0]) < 0x80) {
            append_ascii(out, text[0]);
        } else {
            const CodePoint point = read_code_point(text);
            n_bytes = point.n_bytes;
            if (ascii) {
                append_escaped(out, point.value);
            } else if (point.valid) {
                out += text.substr(0, n_bytes);
            } else {
                out += "\xEF\xBF\xBD";  // U+FFFD
            }
        }
        text.remove_prefix(n_bytes);
    }
    out += '"';
}

void append_value(std::string& out, const Json& value, bool ascii) {
    switch (value.kind) {
        case Json::Kind::null:
            out += "null";
            break;
        case Json::Kind::boolean:
            out += value.boolean ? "true" : "false";
            break;
        case Json::Kind::number:
            out += value.text;
            break;
        case Json::Kind::string:
            append_string(out, value.text, ascii);
            break;
        case Json::Kind::array:
            out += '[';
            for (size_t i = 0; i < value.items.size(); ++i) {
                if (i != 0) out += ',';
                append_value(out, value.items[i], ascii);
            }
            out += ']';
            break;
        case Json::Kind::object:
            out += '{';
            for (size_t i = 0; i < value.members.size(); ++i) {
                if (i != 0) out += ',';
                append_string(out, value.members[i].first, ascii);
                out += ':';
                append_value(out, value.members[i].second, ascii);
            }
            out += '}';
            break;
    }
}

}  // namespace

std::string write_json(const Json& value, bool ascii) {
    std::string out;
    append_value(out, value, ascii);
    return out;
}

}  // namespace gemlet
