// ARMv8.6 matrix products: 32 multiply-adds an instruction.
#include "kernels/probe/probe.h"
#include "kernels/probe/probe_loops_neon.h"

namespace gemlet {
extern const ProbeVariant kProbeI8mm;
namespace {

struct Product {
    using Sum = int32x4_t;
    static constexpr size_t kMultiplyAdds = 32;
    static Sum multiply_add(Sum sum, int8x16_t a, int8x16_t b, size_t /*i*/) {
        return vmmlaq_s32(sum, a, b);
    }
};

}  // namespace

const ProbeVariant kProbeI8mm = {"probe_i8mm", Isa::i8mm, read_all, multiply<Product>};

}  // namespace gemlet
