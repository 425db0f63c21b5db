// Patterns in config.json are regular expressions written by the checkpoint's author. A regex
// engine would let a hostile file run for ever; the published patterns need so little that a
// matcher without nested repetition does, and its work is bounded by pattern length times name
// length.
#include "core/model/qat_patterns.h"

#include <cctype>
#include <string>
#include <vector>

namespace gemlet {
namespace {

constexpr size_t kMaxPattern = 256;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Matches one pattern without groups from the start of `text`; returns how much of it was used.
/// `closed` asks that `$` in the pattern meets the end of the text.
class Matcher {
  public:
    enum class Outcome : uint8_t { no, yes, not_understood };

    Outcome match(std::string_view pattern, std::string_view text) const {
        while (!pattern.empty()) {
            if (pattern == "$") return text.empty() ? Outcome::yes : Outcome::no;
            const size_t length = atom_length(pattern);
            if (length == 0) return Outcome::not_understood;
            const std::string_view atom = pattern.substr(0, length);
            pattern.remove_prefix(length);
            const bool repeats = !pattern.empty() && pattern[0] == '+';
            if (repeats && atom != "\\d") return Outcome::not_understood;
            if (text.empty() || !atom_matches(atom, text[0])) return Outcome::no;
            text.remove_prefix(1);
            if (!repeats) continue;
            pattern.remove_prefix(1);
            // Greedy without giving back: nothing in the known patterns continues with a digit.
            while (!text.empty() && is_digit(text[0])) text.remove_prefix(1);
        }
        return Outcome::yes;
    }

  private:
    static size_t atom_length(std::string_view pattern) {
        if (pattern[0] == '\\') {
            const bool known = pattern.size() > 1 && (pattern[1] == '.' || pattern[1] == 'd');
            return known ? 2 : 0;
        }
        if (pattern[0] == '[') {
            const bool range = pattern.size() > 4 && pattern[2] == '-' && pattern[4] == ']';
            return range ? 5 : 0;
        }
        const char c = pattern[0];
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' ? 1 : 0;
    }
    static bool atom_matches(std::string_view atom, char c) {
        if (atom == "\\d") return is_digit(c);
        if (atom[0] == '\\') return c == atom[1];
        if (atom[0] == '[') return c >= atom[1] && c <= atom[3];
        return c == atom[0];
    }
};

/// Writes out the alternatives of at most one group: "a(b|c)d" gives "abd" and "acd".
std::vector<std::string> expand(std::string_view pattern) {
    const size_t open = pattern.find('(');
    if (open == std::string_view::npos) return {std::string(pattern)};
    const size_t close = pattern.find(')', open);
    std::vector<std::string> out;
    if (close == std::string_view::npos) return out;
    size_t from = open + 1;
    while (from <= close) {
        const size_t bar = std::min(pattern.find('|', from), close);
        out.push_back(std::string(pattern.substr(0, open)) +
                      std::string(pattern.substr(from, bar - from)) +
                      std::string(pattern.substr(close + 1)));
        from = bar + 1;
    }
    return out;
}

Matcher::Outcome search(std::string_view pattern, std::string_view name) {
    if (pattern.size() > kMaxPattern) return Matcher::Outcome::not_understood;
    const bool anchored = !pattern.empty() && pattern[0] == '^';
    if (anchored) pattern.remove_prefix(1);
    const std::vector<std::string> alternatives = expand(pattern);
    if (alternatives.empty()) return Matcher::Outcome::not_understood;
    for (size_t at = 0; at <= (anchored ? 0 : name.size()); ++at) {
        for (const std::string& alternative : alternatives) {
            const auto outcome = Matcher().match(alternative, name.substr(at));
            if (outcome != Matcher::Outcome::no) return outcome;
        }
    }
    return Matcher::Outcome::no;
}

/// Patterns of the towers match nothing in the text model, and one of them is beyond the matcher.
bool may_concern(std::string_view pattern, std::string_view module) {
    constexpr std::string_view kTower = "_tower";
    return pattern.find(kTower) == std::string_view::npos ||
           module.find(kTower) != std::string_view::npos;
}

std::optional<size_t> bits_of(const Json& entry) {
    const Json* bits = entry.find("num_bits");
    if (bits == nullptr || !bits->is_number()) return std::nullopt;
    if (bits->number != 2 && bits->number != 4 && bits->number != 8) return std::nullopt;
    return static_cast<size_t>(bits->number);
}

}  // namespace

std::optional<size_t> declared_bits(const Json& quantization_config, std::string_view module) {
    const Json* patterns = quantization_config.find("module_quant_configs");
    if (patterns != nullptr) {
        // All patterns for the text model match at the same place ("language_model" or the start),
        // so the first listed wins, as it does for the leftmost match of their alternation.
        for (const Json::Member& member : patterns->members) {
            if (!may_concern(member.first, module)) continue;
            const auto outcome = search(member.first, module);
            if (outcome == Matcher::Outcome::not_understood) return std::nullopt;
            if (outcome == Matcher::Outcome::yes) return bits_of(member.second);
        }
    }
    return bits_of(quantization_config);
}

}  // namespace gemlet
