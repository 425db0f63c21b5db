// Reading lines from a person or a script.
#pragma once

#include <memory>
#include <string>

namespace gemlet {

enum class LineEnd : uint8_t { line, end_of_input, interrupted };

/// On a terminal with editing and a history of this run (where built with libedit); elsewhere plain
/// lines without a prompt. Ctrl-C gives up the line and returns `interrupted`. One at a time.
class LineEditor {
  public:
    LineEditor();
    ~LineEditor();
    LineEditor(const LineEditor&) = delete;
    LineEditor& operator=(const LineEditor&) = delete;

    /// Reads one line, without its end.
    LineEnd read(const std::string& prompt, std::string& line);

  private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

/// Reads one line without editing. Shows the prompt on a terminal only.
LineEnd read_plain_line(const std::string& prompt, std::string& line);

}  // namespace gemlet
