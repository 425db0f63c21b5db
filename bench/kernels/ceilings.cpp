// The list of ceilings built in.
#include "bench/kernels/ceilings.h"

namespace gemlet {

#ifdef GEMLET_X86_KERNELS
extern const Ceiling ceiling_avx2;
extern const Ceiling ceiling_avx512vnni;
#endif

const Ceiling* ceiling_of(Isa isa) {
#ifdef GEMLET_X86_KERNELS
    if (isa == Isa::avx2) return &ceiling_avx2;
    if (isa == Isa::avx512vnni || isa == Isa::avx512) return &ceiling_avx512vnni;
#endif
    (void)isa;
    return nullptr;
}

}  // namespace gemlet
