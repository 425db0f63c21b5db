// Without dot products a byte product is smlal into 16-bit sums, of low and high halves in turns.
#include "kernels/probe/probe.h"
#include "kernels/probe/probe_loops_neon.h"

namespace gemlet {
extern const ProbeVariant kProbeNeon;
namespace {

struct Product {
    using Sum = int16x8_t;
    static constexpr size_t kMultiplyAdds = 8;
    static Sum multiply_add(Sum sum, int8x16_t a, int8x16_t b, size_t i) {
        return i % 2 == 0 ? vmlal_s8(sum, vget_low_s8(a), vget_low_s8(b))
                          : vmlal_high_s8(sum, a, b);
    }
};

}  // namespace

const ProbeVariant kProbeNeon = {"probe_neon", Isa::neon, read_all, multiply<Product>};

}  // namespace gemlet
