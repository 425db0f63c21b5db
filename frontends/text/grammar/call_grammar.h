// The grammar of one tool call as the model writes it, arguments by their schemas: text for the
// grammar engine. Source: chat.md sections 9 and 12.
#pragma once

#include <string>
#include <string_view>

#include "core/json.h"
#include "core/status.h"

namespace gemlet {

/// Returns the grammar (llguidance's form of Lark) of what follows the opening tag of a call, its
/// closing tag included. `tools` are functions as requests declare them, names checked; `only`,
/// when not empty, is the one that may be called. Members of objects may come in any order, each
/// once, those required all; there is no white space. A function with `strict: true` keeps its
/// schema exactly; in others what cannot be kept is free. Errors: `bad_argument` where a strict
/// schema says what cannot be kept; `fault` names it.
Result<std::string> call_grammar(const Json& tools, std::string_view only, std::string& fault);

}  // namespace gemlet
