// Detection: the compiler's CPU model is filled from CPUID and XGETBV, so a set whose registers the
// operating system does not save is reported as absent.
#include "kernels/isa.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace gemlet {
namespace {

constexpr const char* kNames[kIsas] = {"scalar", "avx2", "avxvnni", "avx512", "avx512vnni",
                                       "amx",    "neon", "dotprod", "i8mm",   "sve2"};

#if defined(__x86_64__)
constexpr unsigned kCpuidAvxVnni = 1U << 4U;  // leaf 7, subleaf 1, EAX
#endif

}  // namespace

const char* isa_name(Isa isa) { return kNames[static_cast<size_t>(isa)]; }

std::optional<Isa> isa_from_name(std::string_view name) {
    for (size_t i = 0; i < kIsas; ++i) {
        if (name == kNames[i]) return static_cast<Isa>(i);
    }
    return std::nullopt;
}

IsaSet detect_isas() {
    IsaSet set;
#if defined(__x86_64__)
    __builtin_cpu_init();
    // The name "f16c" is g++'s alone; a CPU with AVX2 whose vector state is saved needs only this
    // bit.
    unsigned eax = 0;
    unsigned ebx = 0;
    unsigned ecx = 0;
    unsigned edx = 0;
    const bool f16c = __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && f16c;
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                        __builtin_cpu_supports("avx512dq");
    if (avx2) set.add(Isa::avx2);
    const bool avxvnni =
        __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0 && (eax & kCpuidAvxVnni) != 0;
    if (avx2 && avxvnni) set.add(Isa::avxvnni);
    if (avx512) set.add(Isa::avx512);
    if (avx512 && __builtin_cpu_supports("avx512vnni")) set.add(Isa::avx512vnni);
#endif
    return set;
}

IsaSet cap_isas(IsaSet available, Isa cap) {
    const uint32_t up_to_cap = (2U << static_cast<unsigned>(cap)) - 1U;
    return IsaSet{(available.bits & up_to_cap) | 1U};
}

}  // namespace gemlet
