// Reads files of test vectors: one JSON object a line.
#pragma once

#include <fstream>
#include <string>
#include <vector>

#include "core/json.h"

namespace gemlet::test {

/// Returns the parsed lines of a file; empty if it cannot be opened or a line is not JSON.
inline std::vector<Json> read_json_lines(const std::string& path) {
    std::vector<Json> out;
    std::ifstream file(path);
    std::string line;
    while (std::getline(file, line)) {
        if (line.empty()) continue;
        auto parsed = parse_json(line, DuplicateKeys::last_wins);
        if (!parsed) return {};
        out.push_back(*std::move(parsed));
    }
    return out;
}

/// Returns a member that the file's format promises; null if it is missing.
inline const Json& member(const Json& object, std::string_view key) {
    static const Json kNull;
    const Json* found = object.find(key);
    return found == nullptr ? kNull : *found;
}

/// Returns text quoted in single quotes as JSON: `"` is tedious in C++ literals. The text itself
/// must hold no single quotes.
inline Json from_quotes(std::string text) {
    for (char& c : text) {
        if (c == '\'') c = '"';
    }
    auto parsed = parse_json(text);
    return parsed ? *std::move(parsed) : Json();
}

}  // namespace gemlet::test
