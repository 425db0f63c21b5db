// The array of variants.
#include "kernels/probe/probe.h"

namespace gemlet {

extern const ProbeVariant kProbeScalar;
#ifdef GEMLET_X86_KERNELS
extern const ProbeVariant kProbeAvx2;
extern const ProbeVariant kProbeAvx512vnni;
#endif

namespace {

constexpr const ProbeVariant* kVariants[] = {
#ifdef GEMLET_X86_KERNELS
    &kProbeAvx512vnni,
    &kProbeAvx2,
#endif
    &kProbeScalar,
};

}  // namespace

std::span<const ProbeVariant* const> probe_variants() { return kVariants; }

}  // namespace gemlet
