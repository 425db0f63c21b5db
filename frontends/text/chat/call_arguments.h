// Reading one tool call as the model wrote it: `call:NAME{k:v,...}`. Accepts the grammar of the
// chat format and, beyond it, what models get wrong in ways that leave no doubt.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gemlet::chat {

/// A call: its name and its arguments as compact JSON, members in the order written. A member
/// written twice stands where it was first and has the last value. A number beyond the range of
/// double is a string, since readers of JSON refuse it.
struct ToolCall {
    std::string name;
    std::string arguments;

    friend bool operator==(const ToolCall&, const ToolCall&) = default;
};

/// Reads the text between the tool call tokens. `quotes` are the offsets, ascending, at which the
/// string `<|"|>` stands for the quote token; elsewhere it is ordinary text.
/// Returns nothing if the text is no call, also when it nests deeper than 200 levels.
std::optional<ToolCall> parse_call(std::string_view text, std::span<const size_t> quotes);

/// Returns the offsets of all quote strings: what parse_call wants where token ids are not known.
std::vector<size_t> find_quotes(std::string_view text);

}  // namespace gemlet::chat
