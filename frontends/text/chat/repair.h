// Changes to messages and tools before rendering that keep clients' requests clear of the
// templates' defects. For chats and servers; exact rendering of a file goes without.
#pragma once

#include "core/json.h"
#include "core/status.h"

namespace gemlet::chat {

/// Returns the messages with
/// - `arguments` given as JSON text parsed into an object (missing ones become null),
/// - `thinking` renamed `reasoning_content` if a message has neither that nor `reasoning`,
/// - an assistant message with both text and calls split in two, so that the text stands before
///   the calls (after the results, if they are in the message itself) and a generation prompt can
///   follow. A thought stays with whatever comes first.
/// Errors: `bad_argument` if arguments are not JSON or no object; the number is the message's
/// index.
Result<Json> repair_messages(const Json& messages);

/// Returns the tools with schemas rewritten to what a declaration can express: a top level without
/// `type` becomes an object; a list of types, `anyOf` or `oneOf` with null and one other choice
/// becomes that choice and `nullable`; local `$ref`s are inlined as far as they do not repeat.
Json repair_tools(const Json& tools);

}  // namespace gemlet::chat
