// A loop is a property of the end of the text: for each period, count how far the text agrees with
// itself shifted by the period.
#include "frontends/transcribe/loop_guard.h"

#include <algorithm>

namespace gemlet {
namespace {

constexpr size_t kLongestPeriod = 40;
constexpr size_t kRepeats = 4;
constexpr size_t kShortestLoop = 24;  // tokens

/// How many tokens at the end equal those `period` before.
size_t agreeing(std::span<const int32_t> tokens, size_t period) {
    size_t n = 0;
    while (n + period < tokens.size() &&
           tokens[tokens.size() - 1 - n] == tokens[tokens.size() - 1 - n - period]) {
        ++n;
    }
    return n;
}

}  // namespace

size_t loop_period(std::span<const int32_t> tokens) {
    const size_t longest = std::min(kLongestPeriod, tokens.size() / kRepeats);
    for (size_t period = 1; period <= longest; ++period) {
        const size_t looped = agreeing(tokens, period) + period;
        if (looped >= kRepeats * period && looped >= kShortestLoop) return period;
    }
    return 0;
}

size_t without_loop(std::span<const int32_t> tokens) {
    const size_t period = loop_period(tokens);
    return period == 0 ? tokens.size() : tokens.size() - agreeing(tokens, period);
}

}  // namespace gemlet
