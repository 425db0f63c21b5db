// gemlet: the program. Every command is a function; what it could not do becomes one line on
// stderr.
#include <array>
#include <csignal>
#include <cstdio>

#include "core/guard.h"
#include "frontends/cli/commands.h"
#include "frontends/cli/options.h"

namespace {

struct Command {
    const char* name;
    gemlet::Failure (*run)(const gemlet::Options& options);
};

constexpr std::array kCommands = {
    Command{"bench", gemlet::bench_command},
    Command{"inspect", gemlet::inspect_command},
    Command{"logits", gemlet::logits_command},
    Command{"encode", gemlet::encode_command},
    Command{"perplexity", gemlet::perplexity_command},
    Command{"quantize", gemlet::quantize_command},
    Command{"chat", gemlet::chat_command},
    Command{"run", gemlet::run_command},
    Command{"transcribe", gemlet::transcribe_command},
    Command{"serve", gemlet::serve_command},
    Command{"tokenize", gemlet::tokenize_command},
    Command{"detokenize", gemlet::detokenize_command},
    Command{"render", gemlet::render_command},
    Command{"parse", gemlet::parse_command},
};

void print_failure(const gemlet::Failure& failure) {
    std::string line = "gemlet: ";
    const std::string message = failure.status.message();
    // A fault about a file as a whole names it already.
    if (!failure.file.empty() && message.find(failure.file) == std::string::npos) {
        line += failure.file + ": ";
    }
    std::fprintf(stderr, "%s%s\n", line.c_str(), message.c_str());
}

}  // namespace

int main(int argc, char** argv) {
    // A reader that goes away is a failed write, not the end of the process.
    std::signal(SIGPIPE, SIG_IGN);
    const gemlet::ParsedOptions parsed = gemlet::parse_options(argc, argv);
    if (parsed.done) return parsed.exit_code;
    for (const Command& command : kCommands) {
        if (parsed.options.command != command.name) continue;
        gemlet::Failure failure;
        const gemlet::Status caught = gemlet::guard([&] {
            failure = command.run(parsed.options);
            return failure.status;
        });
        if (caught.ok()) return 0;
        if (failure.ok()) failure = gemlet::Failure(caught);
        if (failure.status.code() != gemlet::StatusCode::cancelled) print_failure(failure);
        return failure.exit_code;
    }
    return 2;
}
