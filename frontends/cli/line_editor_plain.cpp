// Without libedit.
#include "frontends/cli/line_editor.h"

namespace gemlet {

struct LineEditor::Parts {};

LineEditor::LineEditor() = default;
LineEditor::~LineEditor() = default;

LineEnd LineEditor::read(const std::string& prompt, std::string& line) {
    return read_plain_line(prompt, line);
}

}  // namespace gemlet
