// Tool declarations of the system turn.
#pragma once

#include "core/json.h"
#include "core/status.h"
#include "frontends/text/chat/prompt.h"

namespace gemlet::chat {

/// Writes one tool (`{"type": "function", "function": {name, description, parameters, response}}`)
/// as `declaration:NAME{...}`, the surrounding tool tokens excluded. Repeats the template's
/// oddities; repair_tools() avoids them beforehand.
/// Errors: `bad_argument` where the template fails, for instance without `function`.
Status write_declaration(PromptWriter& out, const Json& tool);

}  // namespace gemlet::chat
