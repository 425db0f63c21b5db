// Standard output holds the answer and nothing else unless asked otherwise, so that it can be
// piped.
#include "frontends/cli/answer_printer.h"

#include <cstdio>

#include "core/json.h"

namespace gemlet {
namespace {

constexpr std::string_view kDim = "\033[2m";
constexpr std::string_view kPlain = "\033[0m";

}  // namespace

AnswerPrinter::AnswerPrinter(Output& out, Thoughts thoughts)
    : out_(&out),
      to_output_(thoughts == Thoughts::to_output),
      dim_(to_output_ ? output_is_terminal() : errors_are_terminal()) {}

void AnswerPrinter::write_thought(std::string_view text) {
    if (to_output_) {
        out_->write(text);
        out_->flush();
    } else {
        std::fwrite(text.data(), 1, text.size(), stderr);
    }
}

void AnswerPrinter::end_thought() {
    if (!in_thought_) return;
    in_thought_ = false;
    if (dim_) write_thought(kPlain);
    write_thought(to_output_ ? "\n\n" : "\n");
}

void AnswerPrinter::take(const chat::ResponseDelta& delta) {
    if (!delta.reasoning.empty()) {
        if (!in_thought_ && dim_) write_thought(kDim);
        in_thought_ = true;
        write_thought(delta.reasoning);
    }
    if (!delta.content.empty()) {
        end_thought();
        at_line_start_ = delta.content.back() == '\n';
        out_->write(delta.content);
        out_->flush();
    }
    calls_.insert(calls_.end(), delta.tool_calls.begin(), delta.tool_calls.end());
}

void AnswerPrinter::finish() {
    end_thought();
    if (!at_line_start_) out_->write("\n");
    at_line_start_ = true;
    for (const chat::ToolCall& call : calls_) {
        const Result<Json> arguments = parse_json(call.arguments, DuplicateKeys::last_wins);
        Json line = Json::object();
        line.set("name", Json::of(call.name))
            .set("arguments", arguments ? *arguments : Json::object());
        out_->write(write_json(line) + "\n");
    }
    calls_.clear();
    out_->flush();
}

}  // namespace gemlet
