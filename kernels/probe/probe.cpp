// The array of variants.
#include "kernels/probe/probe.h"

namespace gemlet {

extern const ProbeVariant kProbeScalar;
#ifdef GEMLET_X86_KERNELS
extern const ProbeVariant kProbeAvx2;
extern const ProbeVariant kProbeAvx512vnni;
#endif
#ifdef GEMLET_ARM_KERNELS
extern const ProbeVariant kProbeNeon;
extern const ProbeVariant kProbeDotprod;
extern const ProbeVariant kProbeI8mm;
#endif

namespace {

constexpr const ProbeVariant* kVariants[] = {
#ifdef GEMLET_X86_KERNELS
    &kProbeAvx512vnni, &kProbeAvx2,
#endif
#ifdef GEMLET_ARM_KERNELS
    &kProbeI8mm,       &kProbeDotprod, &kProbeNeon,
#endif
    &kProbeScalar,
};

}  // namespace

std::span<const ProbeVariant* const> probe_variants() { return kVariants; }

}  // namespace gemlet
