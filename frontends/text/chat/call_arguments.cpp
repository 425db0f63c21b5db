// A recursive descent over the call's text, one function per kind of value. The accepted language
// is a superset of the strict grammar, so one pass serves both: only what the grammar refuses
// reaches the lenient branches. Depth is bounded, time is linear in the text.
#include "frontends/text/chat/call_arguments.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "core/json.h"
#include "frontends/text/chat/specials.h"
#include "frontends/text/tokenizer/detokenizer.h"

namespace gemlet::chat {
namespace {

constexpr size_t kMaxDepth = 200;  // as core/json.h, which readers of the arguments use
constexpr std::string_view kSpace = " \t\n\r\f\v";

bool is_space(char c) { return kSpace.find(c) != std::string_view::npos; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string_view trim(std::string_view text) {
    while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
    return text;
}

size_t skip_digits(std::string_view text, size_t at) {
    while (at < text.size() && is_digit(text[at])) ++at;
    return at;
}

// Sets `is_integer` if the text is a JSON number.
bool is_json_number(std::string_view text, bool& is_integer) {
    size_t at = !text.empty() && text[0] == '-' ? 1 : 0;
    const size_t whole = at;
    at = skip_digits(text, at);
    if (at == whole || (text[whole] == '0' && at != whole + 1)) return false;
    is_integer = at == text.size();
    if (at < text.size() && text[at] == '.') {
        const size_t fraction = at + 1;
        at = skip_digits(text, fraction);
        if (at == fraction) return false;
    }
    if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
        ++at;
        if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
        const size_t exponent = at;
        at = skip_digits(text, exponent);
        if (at == exponent) return false;
    }
    return at == text.size();
}

Json scalar_of(std::string_view word) {
    bool is_integer = false;
    // A number that no double holds would make the arguments unreadable; it stays text.
    if (is_json_number(word, is_integer) && parse_json(word)) {
        Json number;  // only its spelling is written again
        number.kind = Json::Kind::number;
        number.is_integer = is_integer;
        number.text = word;
        return number;
    }
    if (word == "true" || word == "True") return Json::of_bool(true);
    if (word == "false" || word == "False") return Json::of_bool(false);
    if (word == "null" || word == "None") return {};
    return Json::of(word);
}

void append_utf8(std::string& out, uint32_t c) {
    if (c < 0x80) {
        out += static_cast<char>(c);
        return;
    }
    if (c < 0x800) {
        out += static_cast<char>(0xC0U | (c >> 6U));
    } else {
        if (c < 0x10000) {
            out += static_cast<char>(0xE0U | (c >> 12U));
        } else {
            out += static_cast<char>(0xF0U | (c >> 18U));
            out += static_cast<char>(0x80U | ((c >> 12U) & 0x3FU));
        }
        out += static_cast<char>(0x80U | ((c >> 6U) & 0x3FU));
    }
    out += static_cast<char>(0x80U | (c & 0x3FU));
}

// Reads the four digits of \uXXXX.
std::optional<uint32_t> read_unit(std::string_view text, size_t at) {
    if (text.size() < 4 || at > text.size() - 4) return std::nullopt;
    uint32_t unit = 0;
    for (const char c : text.substr(at, 4)) {
        const char low = static_cast<char>(static_cast<unsigned char>(c) | 0x20U);
        if (is_digit(c)) {
            unit = unit * 16 + static_cast<uint32_t>(c - '0');
        } else if (low >= 'a' && low <= 'f') {
            unit = unit * 16 + static_cast<uint32_t>(low - 'a' + 10);
        } else {
            return std::nullopt;
        }
    }
    return unit;
}

class CallReader {
  public:
    CallReader(std::string_view text, std::span<const size_t> quotes)
        : text_(text), quotes_(quotes) {}

    std::optional<ToolCall> read();

  private:
    using Value = std::optional<Json>;

    bool at_end() const { return at_ >= text_.size(); }
    char here() const { return text_[at_]; }
    void skip_space() {
        while (!at_end() && is_space(here())) ++at_;
    }
    bool is_quote(size_t at) const {
        return std::binary_search(quotes_.begin(), quotes_.end(), at);
    }
    // The first quote token at or after `from`; the text's end if there is none.
    size_t next_quote(size_t from) const {
        const auto found = std::lower_bound(quotes_.begin(), quotes_.end(), from);
        return found == quotes_.end() ? text_.size() : *found;
    }
    bool read_name(std::string& name);
    Value read_value();
    Value read_object();
    Value read_array();
    bool read_separator(char closer, bool& closed);
    std::optional<std::string> read_key();
    std::string read_quoted();
    std::optional<std::string> read_double_quoted();
    std::optional<std::string> read_single_quoted();
    void append_escaped(std::string& out);
    Value read_word();
    bool ends_word(size_t comma) const;
    size_t skip_string(size_t at) const;

    std::string_view text_;
    std::span<const size_t> quotes_;
    size_t at_ = 0;
    std::string open_;  // the closers of the open levels, outermost first
};

bool CallReader::read_name(std::string& name) {
    constexpr std::string_view kCall = "call:";
    if (text_.substr(0, kCall.size()) != kCall) return false;
    const size_t brace = std::min(text_.find('{'), text_.size());
    const std::string_view trimmed = trim(text_.substr(kCall.size(), brace - kCall.size()));
    at_ = brace;
    name = trimmed;
    return !trimmed.empty() &&
           trimmed.find_first_of(" \t\n\r\f\v\"'`[]{}") == std::string_view::npos;
}

std::optional<ToolCall> CallReader::read() {
    ToolCall call;
    if (!read_name(call.name)) return std::nullopt;
    if (at_end()) {
        call.arguments = "{}";
        return call;
    }
    const Value arguments = read_object();
    if (!arguments) return std::nullopt;
    skip_space();
    if (!at_end()) return std::nullopt;
    call.arguments = write_json(*arguments);
    return call;
}

// After a value: commas (also several, also before the closer), the closer, or the end of the text,
// which closes everything.
bool CallReader::read_separator(char closer, bool& closed) {
    skip_space();
    const size_t before = at_;
    while (!at_end() && (here() == ',' || is_space(here()))) ++at_;
    closed = at_end() || here() == closer;
    if (!at_end() && closed) ++at_;
    return closed || at_ != before;
}

CallReader::Value CallReader::read_object() {
    if (open_.size() >= kMaxDepth) return std::nullopt;
    open_ += '}';
    ++at_;
    Json object = Json::object();
    std::unordered_map<std::string, size_t> places;
    bool closed = false;
    read_separator('}', closed);
    while (!closed) {
        std::optional<std::string> key = read_key();
        skip_space();
        if (!key || at_end() || here() != ':') return std::nullopt;
        ++at_;
        *key = replace_broken_utf8(*key);  // as it is written, so that repeats are found
        Value value = read_value();
        if (!value) return std::nullopt;
        const auto [place, is_new] = places.try_emplace(*key, object.members.size());
        if (is_new) {
            object.members.emplace_back(*std::move(key), *std::move(value));
        } else {
            object.members[place->second].second = *std::move(value);
        }
        if (!read_separator('}', closed)) return std::nullopt;
    }
    open_.pop_back();
    return object;
}

CallReader::Value CallReader::read_array() {
    if (open_.size() >= kMaxDepth) return std::nullopt;
    open_ += ']';
    ++at_;
    Json array = Json::array();
    bool closed = false;
    read_separator(']', closed);
    while (!closed) {
        Value value = read_value();
        if (!value) return std::nullopt;
        array.items.push_back(*std::move(value));
        if (!read_separator(']', closed)) return std::nullopt;
    }
    open_.pop_back();
    return array;
}

std::optional<std::string> CallReader::read_key() {
    if (is_quote(at_)) return read_quoted();
    if (here() == '"') return read_double_quoted();
    if (here() == '\'') return read_single_quoted();
    const size_t end = std::min(text_.find_first_of(":{}[],", at_), text_.size());
    const std::string_view key = trim(text_.substr(at_, end - at_));
    at_ = end;
    if (key.empty()) return std::nullopt;
    return std::string(key);
}

CallReader::Value CallReader::read_value() {
    skip_space();
    if (at_end()) return std::nullopt;
    if (is_quote(at_)) return Json::of(read_quoted());
    const auto as_value = [](const std::optional<std::string>& text) -> Value {
        if (!text) return std::nullopt;
        return Json::of(*text);
    };
    switch (here()) {
        case '"':
            return as_value(read_double_quoted());
        case '\'':
            return as_value(read_single_quoted());
        case '{':
            return read_object();
        case '[':
            return read_array();
        default:
            return read_word();
    }
}

// Between quote tokens everything is text. Without the second the string runs to the end, less the
// closers of the levels that are open; some of those may be missing too.
std::string CallReader::read_quoted() {
    const size_t start = at_ + kQuote.size();
    const size_t end = next_quote(start);
    at_ = std::min(end + kQuote.size(), text_.size());
    std::string_view body = text_.substr(start, end - start);
    if (end != text_.size()) return std::string(body);
    for (const char closer : open_) {
        const size_t last = body.find_last_not_of(kSpace);
        if (last != std::string_view::npos && body[last] == closer) body = body.substr(0, last);
    }
    return std::string(body);
}

void CallReader::append_escaped(std::string& out) {
    constexpr std::string_view kNames = "\"\\/bfnrt";
    constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
    const char c = text_[at_ + 1];
    if (const size_t which = kNames.find(c); which != std::string_view::npos) {
        out += kMeanings[which];
        at_ += 2;
        return;
    }
    const auto unit = c == 'u' ? read_unit(text_, at_ + 2) : std::nullopt;
    if (!unit) {  // no escape after all: the backslash stands for itself
        out += '\\';
        ++at_;
        return;
    }
    at_ += 6;
    uint32_t point = *unit;
    if (point >= 0xD800 && point < 0xDC00 && text_.substr(at_, 2) == "\\u") {
        const auto low = read_unit(text_, at_ + 2);
        if (low && *low >= 0xDC00 && *low < 0xE000) {
            point = 0x10000 + ((point - 0xD800) << 10U) + (*low - 0xDC00);
            at_ += 6;
        }
    }
    append_utf8(out, point >= 0xD800 && point < 0xE000 ? 0xFFFD : point);
}

std::optional<std::string> CallReader::read_double_quoted() {
    std::string out;
    ++at_;
    while (!at_end() && here() != '"') {
        if (here() == '\\' && at_ + 1 < text_.size()) {
            append_escaped(out);
        } else if (is_quote(at_)) {  // holds a '"' that is not one
            out += kQuote;
            at_ += kQuote.size();
        } else {
            out += here();
            ++at_;
        }
    }
    if (at_end()) return std::nullopt;
    ++at_;
    return out;
}

std::optional<std::string> CallReader::read_single_quoted() {
    const size_t end = text_.find('\'', at_ + 1);
    if (end == std::string_view::npos) return std::nullopt;
    std::string out(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    if (is_quote(at_)) at_ += kQuote.size();
    return out;
}

// The offset after the quoted string at `at`; `at` itself if there is none.
size_t CallReader::skip_string(size_t at) const {
    if (is_quote(at)) return std::min(next_quote(at + kQuote.size()) + kQuote.size(), text_.size());
    if (text_[at] != '"' && text_[at] != '\'') return at;
    const size_t end = text_.find(text_[at], at + 1);
    return end == std::string_view::npos ? at : end + 1;
}

// Does the comma end a bare word? Yes if `key:` follows, or a closer, or nothing but commas.
bool CallReader::ends_word(size_t comma) const {
    size_t at = comma;
    while (at < text_.size() && (text_[at] == ',' || is_space(text_[at]))) ++at;
    if (at == text_.size() || text_[at] == '}' || text_[at] == ']') return true;
    const size_t after = skip_string(at);
    const size_t end = text_.find_first_of(after == at ? ":{}[]," : ":{}[],\"'", after);
    if (end == std::string_view::npos || text_[end] != ':') return false;
    if (after != at) return trim(text_.substr(after, end - after)).empty();
    return end != at;
}

CallReader::Value CallReader::read_word() {
    const bool in_object = open_.back() == '}';
    size_t end = at_;
    while (end < text_.size()) {
        end = std::min(text_.find_first_of(",}]", end), text_.size());
        if (end == text_.size() || text_[end] != ',' || !in_object || ends_word(end)) break;
        while (end < text_.size() && (text_[end] == ',' || is_space(text_[end]))) ++end;
    }
    const std::string_view word = trim(text_.substr(at_, end - at_));
    at_ = end;
    if (word.empty()) return std::nullopt;
    return scalar_of(word);
}

}  // namespace

std::optional<ToolCall> parse_call(std::string_view text, std::span<const size_t> quotes) {
    return CallReader(text, quotes).read();
}

std::vector<size_t> find_quotes(std::string_view text) {
    std::vector<size_t> out;
    for (size_t at = text.find(kQuote); at != std::string_view::npos;
         at = text.find(kQuote, at + kQuote.size())) {
        out.push_back(at);
    }
    return out;
}

}  // namespace gemlet::chat
