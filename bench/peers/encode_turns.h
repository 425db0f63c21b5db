// What encode_picture.cpp and encode_sound.cpp share: an answer for every line that comes in.
#pragma once

#include <chrono>
#include <cstdio>
#include <ctime>

#include "core/status.h"

namespace gemlet::bench {

/// Prints the error; returns the program's exit code.
inline int fail(const Status& status) {
    std::fprintf(stderr, "%s\n", status.message().c_str());
    return 1;
}

/// For every empty line on standard input calls encode(), which returns the number of soft tokens
/// or an error, and prints the milliseconds it took on the clock and of the processors, and that
/// number. Returns the program's exit code.
template <class Encode>
int answer_lines(Encode&& encode) {
    using Clock = std::chrono::steady_clock;
    while (std::getchar() == '\n') {
        const Clock::time_point start = Clock::now();
        const std::clock_t start_cpu = std::clock();
        const Result<size_t> n = encode();
        if (!n) return fail(n.error());
        const std::chrono::duration<double, std::milli> took = Clock::now() - start;
        const double cpu_ms = 1e3 * static_cast<double>(std::clock() - start_cpu) / CLOCKS_PER_SEC;
        std::printf("%.3f %.3f %zu\n", took.count(), cpu_ms, *n);
        std::fflush(stdout);
    }
    return 0;
}

}  // namespace gemlet::bench
