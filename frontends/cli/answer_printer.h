// An answer on its way to the terminal: thoughts, text and calls kept apart.
#pragma once

#include <string>
#include <vector>

#include "frontends/cli/streams.h"
#include "frontends/text/chat/parser.h"

namespace gemlet {

/// Where thoughts go: beside the answer or into it; dim where a person reads.
enum class Thoughts : uint8_t { to_errors, to_output };

class AnswerPrinter {
  public:
    AnswerPrinter(Output& out, Thoughts thoughts);

    /// Shows what a delta holds, at once; calls are kept for finish().
    void take(const chat::ResponseDelta& delta);
    /// Ends the last line and prints each call as one line, {"name": .., "arguments": {..}}.
    void finish();

  private:
    void write_thought(std::string_view text);
    void end_thought();

    Output* out_;
    bool to_output_;
    bool dim_;
    bool in_thought_ = false;
    bool at_line_start_ = true;  // of the answer proper
    std::vector<chat::ToolCall> calls_;
};

}  // namespace gemlet
