// How values stand inside tool declarations, calls and results.
#pragma once

#include <cstdint>

#include "core/json.h"
#include "frontends/text/chat/prompt.h"

namespace gemlet::chat {

/// Member names of nested objects: bare (calls and results) or between quote tokens (declarations).
enum class KeyStyle : uint8_t { bare, quoted };

/// Writes a value: strings between quote tokens, true, false, null, numbers as Python prints them,
/// `[a,b]`, `{k:v}` with members sorted without regard to case. An absent value is an empty list
/// (so the template).
void write_value(PromptWriter& out, const Json* value, KeyStyle keys);

/// Writes the members of an object as `k:v,k:v`, sorted, names bare.
void write_members(PromptWriter& out, const Json& object);

}  // namespace gemlet::chat
