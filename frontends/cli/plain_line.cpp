// Lines as the terminal itself offers them: for scripts, and where libedit is missing. Reads with
// read(2), since streams take up an interrupted read again.
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <optional>

#include "frontends/cli/interrupt.h"
#include "frontends/cli/line_editor.h"
#include "frontends/cli/streams.h"

namespace gemlet {

LineEnd read_plain_line(const std::string& prompt, std::string& line) {
    line.clear();
    // Only a person at a terminal means the line by Ctrl-C; from a script it ends the program.
    std::optional<InterruptScope> interrupt;
    if (input_is_terminal()) {
        std::fputs(prompt.c_str(), stdout);
        std::fflush(stdout);
        interrupt.emplace(true);
    }
    for (;;) {
        if (interrupt && !InterruptScope::wait_for_input(STDIN_FILENO)) {
            std::fputs("\n", stdout);
            return LineEnd::interrupted;
        }
        char c = 0;
        const ssize_t n = ::read(STDIN_FILENO, &c, 1);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return line.empty() ? LineEnd::end_of_input : LineEnd::line;
        if (c == '\n') return LineEnd::line;
        line += c;
    }
}

}  // namespace gemlet
