// Chat messages to the exact prompt the models were trained on: what the two published templates
// print, without a template engine.
#pragma once

#include <string>
#include <string_view>

#include "core/json.h"
#include "core/status.h"
#include "frontends/text/chat/prompt.h"
#include "frontends/text/chat/template_kind.h"

namespace gemlet::chat {

struct RenderOptions {
    bool add_generation_prompt = false;
    bool enable_thinking = false;
    bool preserve_thinking = false;  // keep thoughts of older messages that have calls
    // Leaves the last message open, to be continued by the model. Not part of the templates;
    // add_generation_prompt does not count then.
    bool continue_final_message = false;
};

/// Reads the options from an object as passed to a template; absent, null and empty values are off.
RenderOptions render_options_from(const Json& flags);

/// Renders messages in the form of the OpenAI chat API (`role`, `content`, `tool_calls`,
/// `tool_call_id`, `reasoning` or `reasoning_content`; also `tool_responses`). `messages` is an
/// array; `tools` an array or null. Arguments of calls must be objects (see repair_messages).
/// Media are left as one placeholder each (see expand_media).
/// Errors: `bad_argument` where the template refuses the input; the number is the message's index.
Result<Prompt> render_prompt(TemplateKind kind, const Json& messages, const Json& tools,
                             const RenderOptions& options);

/// Removes thoughts from the text of a model message: in each piece between closing channel tokens
/// what follows an opening one. Does not trim.
std::string without_thoughts(std::string_view text);

}  // namespace gemlet::chat
