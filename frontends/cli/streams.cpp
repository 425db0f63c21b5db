// Lines are answered one at a time and shown at once, so that another program can hold the commands
// open as a service.
#include "frontends/cli/streams.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <iostream>
#include <iterator>

#include "core/files/mapped_file.h"
#include "core/json.h"

namespace gemlet {

bool Output::write(std::string_view text) {
    if (closed_ || text.empty()) return !closed_;
    last_ = text.back();
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) {
        closed_ = true;
        failed_ = errno != EPIPE;
    }
    return !closed_;
}

bool Output::write_line(std::string_view text) {
    write(text);
    write("\n");
    return flush();
}

bool Output::flush() {
    if (!closed_ && std::fflush(stdout) != 0) {
        closed_ = true;
        failed_ = errno != EPIPE;
    }
    return !closed_;
}

void Output::end_for_terminal() {
    if (last_ != '\n' && output_is_terminal()) write("\n");
}

Status Output::finish() {
    flush();
    if (!failed_) return {};
    return {StatusCode::io, "cannot write (disk full?)", "standard output"};
}

bool output_is_terminal() { return isatty(STDOUT_FILENO) == 1; }
bool errors_are_terminal() { return isatty(STDERR_FILENO) == 1; }
bool input_is_terminal() { return isatty(STDIN_FILENO) == 1; }

Result<std::string> read_input() {
    std::string text(std::istreambuf_iterator<char>(std::cin), {});
    if (std::cin.bad()) return Status(StatusCode::io, "cannot read", "standard input");
    return text;
}

Result<std::string> read_file(const std::string& path) {
    const Result<MappedFile> file = MappedFile::open(path);
    GEMLET_TRY(file);
    const std::span<const uint8_t> bytes = file->bytes();
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

Status answer_lines(const std::function<std::string(std::string_view line)>& answer) {
    Output out;
    std::string line;
    while (!out.closed() && std::getline(std::cin, line)) {
        if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
        out.write_line(answer(line));
    }
    if (std::cin.bad()) return {StatusCode::io, "cannot read", "standard input"};
    return out.finish();
}

std::string error_line(std::string_view text) {
    Json object = Json::object();
    return write_json(object.set("error", Json::of(text)));
}

}  // namespace gemlet
