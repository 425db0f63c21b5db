// With libedit. Characters are read by a function of our own because libedit's takes up a read that
// Ctrl-C has interrupted, and the line could then not be given up.
#include <histedit.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cwchar>
#include <string>

#include "frontends/cli/interrupt.h"
#include "frontends/cli/line_editor.h"
#include "frontends/cli/streams.h"

namespace gemlet {
namespace {

constexpr int kHistoryLines = 1000;

/// Reads one character of the terminal's encoding. Returns 1, 0 at the end, -1 on Ctrl-C.
int read_character(EditLine* /*editor*/, wchar_t* out) {
    std::mbstate_t state = {};
    for (;;) {
        if (!InterruptScope::wait_for_input(STDIN_FILENO)) return -1;
        char c = 0;
        const ssize_t n = ::read(STDIN_FILENO, &c, 1);
        if (n == 0) return 0;
        if (n < 0) {
            if (errno == EINTR && !InterruptScope::flag()) continue;
            return -1;
        }
        const size_t used = std::mbrtowc(out, &c, 1, &state);
        if (used == static_cast<size_t>(-2)) continue;  // the character goes on
        if (used == static_cast<size_t>(-1)) {
            state = {};
            continue;
        }
        return 1;
    }
}

}  // namespace

struct LineEditor::Parts {
    EditLine* editor = nullptr;
    History* history = nullptr;
    std::string prompt;

    ~Parts() {
        if (editor != nullptr) el_end(editor);
        if (history != nullptr) history_end(history);
    }
};

LineEditor::LineEditor() {
    if (!input_is_terminal() || !output_is_terminal()) return;
    std::setlocale(LC_CTYPE, "");  // what the terminal sends
    auto parts = std::make_unique<Parts>();
    parts->editor = el_init("gemlet", stdin, stdout, stderr);
    parts->history = history_init();
    if (parts->editor == nullptr || parts->history == nullptr) return;
    HistEvent event = {};
    history(parts->history, &event, H_SETSIZE, kHistoryLines);
    history(parts->history, &event, H_SETUNIQUE, 1);
    el_set(parts->editor, EL_EDITOR, "emacs");
    el_set(parts->editor, EL_HIST, history, parts->history);
    el_set(parts->editor, EL_CLIENTDATA, parts.get());
    el_set(parts->editor, EL_BIND, "^R", "em-inc-search-prev", nullptr);
    el_set(parts->editor, EL_GETCFN, read_character);
    const auto prompt = [](EditLine* editor) -> char* {
        Parts* owner = nullptr;
        el_get(editor, EL_CLIENTDATA, &owner);
        return owner->prompt.data();
    };
    el_set(parts->editor, EL_PROMPT, static_cast<char* (*)(EditLine*)>(prompt));
    parts_ = std::move(parts);
}

LineEditor::~LineEditor() = default;

LineEnd LineEditor::read(const std::string& prompt, std::string& line) {
    if (parts_ == nullptr) return read_plain_line(prompt, line);
    parts_->prompt = prompt;
    const InterruptScope interrupt(true);
    // Before the prompt is shown: el_gets itself does it after, and a Ctrl-D that is typed between
    // is lost when the terminal's mode changes.
    el_set(parts_->editor, EL_PREP_TERM, 1);
    int n = 0;
    const char* text = el_gets(parts_->editor, &n);
    if (InterruptScope::flag()) {
        el_reset(parts_->editor);
        std::fputs("\n", stdout);
        return LineEnd::interrupted;
    }
    if (text == nullptr || n <= 0) return LineEnd::end_of_input;
    line.assign(text, static_cast<size_t>(n));
    if (line.find_first_not_of(" \t\n") != std::string::npos) {
        HistEvent event = {};
        history(parts_->history, &event, H_ENTER, line.c_str());
    }
    while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.pop_back();
    return LineEnd::line;
}

}  // namespace gemlet
