// The canonical arithmetic as scalar functions: what every float kernel computes, and what the
// scalar variants call. Ordinary functions, so that no instruction set's copy of them can end up in
// a program for older CPUs.
#pragma once

#include <cstddef>

namespace gemlet {

/// Number of partial sums of every float reduction.
constexpr size_t kLanes = 16;

/// Returns exp(x) for x <= 88, exp(88) above, exactly 0 below -87.3; exp(0) is exactly 1. Error at
/// most 1 ulp. NaN gives NaN. The result is never subnormal.
float canonical_exp(float x);

/// Returns tanh(x), odd, exactly +-1 for large |x|; relative error at most 3 ulp everywhere, so
/// small arguments keep their digits. NaN gives NaN.
float canonical_tanh(float x);

/// Returns the sum of 16 lanes by the fixed tree: lane i += lane i + 8, then i + 4, i + 2, i + 1.
float canonical_tree(const float* lanes);

}  // namespace gemlet
