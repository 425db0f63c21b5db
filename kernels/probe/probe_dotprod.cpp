// ARMv8.2 dot products: 16 multiply-adds an instruction.
#include "kernels/probe/probe.h"
#include "kernels/probe/probe_loops_neon.h"

namespace gemlet {
extern const ProbeVariant kProbeDotprod;
namespace {

struct Product {
    using Sum = int32x4_t;
    static constexpr size_t kMultiplyAdds = 16;
    static Sum multiply_add(Sum sum, int8x16_t a, int8x16_t b, size_t /*i*/) {
        return vdotq_s32(sum, a, b);
    }
};

}  // namespace

const ProbeVariant kProbeDotprod = {"probe_dotprod", Isa::dotprod, read_all, multiply<Product>};

}  // namespace gemlet
