// Standard input and output as the commands use them.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "core/status.h"
#include "frontends/cli/commands.h"

namespace gemlet {

/// Standard output. A reader that went away (a pipe into `head`) is no fault: it only means that
/// nothing more needs to be written.
class Output {
  public:
    /// Returns false when writing more is useless.
    bool write(std::string_view text);
    /// Writes the text, a line end, and shows both at once.
    bool write_line(std::string_view text);
    bool flush();
    /// Ends the last line where a person is looking and it is not ended yet.
    void end_for_terminal();
    bool closed() const { return closed_; }
    /// Flushes. Errors: `io` (a full disk).
    Status finish();

  private:
    bool closed_ = false;
    bool failed_ = false;
    char last_ = '\n';
};

/// Returns whether a person reads there.
bool output_is_terminal();
bool errors_are_terminal();
bool input_is_terminal();

/// Returns all of standard input. Errors: `io`.
Result<std::string> read_input();
/// Returns a whole file. Errors: those of MappedFile::open.
Result<std::string> read_file(const std::string& path);

/// Calls `answer` for every line of standard input that is not blank and prints what it returns as
/// one line each, at once.
Status answer_lines(const std::function<std::string(std::string_view line)>& answer);

/// Returns `{"error": text}`: what stands in place of a line's answer.
std::string error_line(std::string_view text);

}  // namespace gemlet
