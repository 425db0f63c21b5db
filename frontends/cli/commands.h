// The commands of the program. Each returns ok or the fault to print.
#pragma once

#include "core/status.h"
#include "frontends/cli/options.h"

namespace gemlet {

/// A fault with the file it is about, for the one line on stderr.
struct Failure {
    Status status;
    std::string file;
    int exit_code = 1;  // 2: wrong usage; 130: ended by Ctrl-C

    Failure() = default;
    Failure(Status what, std::string where = {}) : status(what), file(std::move(where)) {}
    bool ok() const { return status.ok(); }
};

Failure run_command(const Options& options);
Failure chat_command(const Options& options);
Failure inspect_command(const Options& options);
Failure bench_command(const Options& options);
Failure tokenize_command(const Options& options);
Failure detokenize_command(const Options& options);
Failure render_command(const Options& options);
Failure parse_command(const Options& options);
Failure logits_command(const Options& options);
Failure perplexity_command(const Options& options);
Failure encode_command(const Options& options);
Failure quantize_command(const Options& options);
Failure transcribe_command(const Options& options);
Failure serve_command(const Options& options);

}  // namespace gemlet
