// The canonical functions of kernels/vector/canonical.cpp on parts.
// Included after the part_<isa>.h of the file's instruction set; everything has internal linkage.
#pragma once

#include <math.h>
#include <string.h>

#include "kernels/vector/exp_constants.h"

namespace gemlet {
namespace {

// exp(x) = scale * (1 + less_one).
struct PartExp {
    Part scale;
    Part less_one;
};

inline PartExp part_split_exp(Part x) {
    const Part clamped =
        part_max(part_set(kExpLow), part_min(part_set(kExpHigh), x));  // NaN passes
    const Part shifted = part_fma(clamped, part_set(kLog2E), part_set(kRoundShift));
    const Part n = part_sub(shifted, part_set(kRoundShift));
    const Part near = part_fma(n, part_set(-kLn2High), clamped);
    const Part r = part_fma(n, part_set(-kLn2Low), near);
    Part q = part_set(kExpPoly[4]);
    q = part_fma(q, r, part_set(kExpPoly[3]));
    q = part_fma(q, r, part_set(kExpPoly[2]));
    q = part_fma(q, r, part_set(kExpPoly[1]));
    q = part_fma(q, r, part_set(kExpPoly[0]));
    return {part_power(shifted), part_fma(part_mul(r, r), q, r)};
}

inline Part part_exp(Part x) {
    const PartExp e = part_split_exp(x);
    return part_zero_below(part_fma(e.less_one, e.scale, e.scale), x, kExpLow);
}

inline Part part_tanh(Part x) {
    const PartExp e = part_split_exp(part_mul(part_set(-2.0F), part_abs(x)));
    const Part expm1 = part_fma(e.less_one, e.scale, part_sub(e.scale, part_set(1.0F)));
    // The sign of the quotient is replaced, so expm1 need not be negated.
    return part_copysign(part_div(expm1, part_add(part_set(2.0F), expm1)), x);
}

// How many of the lanes of part `part` are among the first n of 16.
inline size_t lanes_in_part(size_t n, size_t part) {
    const size_t before = part * kPartLanes;
    if (n <= before) return 0;
    return n - before < kPartLanes ? n - before : kPartLanes;
}

}  // namespace
}  // namespace gemlet
