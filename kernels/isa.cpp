// Detection. x86: the compiler's CPU model is filled from CPUID and XGETBV, so a set whose
// registers the operating system does not save is reported as absent. ARM: the operating system
// tells; every 64-bit ARM has NEON.
#include "kernels/isa.h"

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#elif defined(__aarch64__)
#if defined(__linux__)
#include <sys/auxv.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif
#endif

namespace gemlet {
namespace {

constexpr const char* kNames[kIsas] = {"scalar", "avx2", "avxvnni", "avx512", "avx512vnni",
                                       "amx",    "neon", "dotprod", "i8mm",   "sve2"};

#if defined(__x86_64__)
constexpr unsigned kCpuidAvxVnni = 1U << 4U;  // leaf 7, subleaf 1, EAX

// AMX with int8 products. The tile registers are large, so Linux gives them to a process that asks,
// for all its threads; asking again changes nothing.
bool has_amx() {
#if defined(__linux__)
    constexpr unsigned kCpuidAmx = 3U << 24U;    // leaf 7, EDX: tiles, int8
    constexpr unsigned kCpuidXsave = 1U << 27U;  // leaf 1, ECX: the system manages vector state
    constexpr unsigned kTileState = 3U << 17U;   // XCR0: the system saves tiles
    constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
    constexpr long kTileData = 18;
    unsigned eax = 0;
    unsigned ebx = 0;
    unsigned ecx = 0;
    unsigned edx = 0;
    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0 || (ecx & kCpuidXsave) == 0) return false;
    if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
    if ((edx & kCpuidAmx) != kCpuidAmx) return false;
    __asm__ volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
    if ((eax & kTileState) != kTileState) return false;
    return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
    return false;
#endif
}
#endif

#if defined(__aarch64__)
struct ArmFeatures {
    bool dotprod = false;
    bool i8mm = false;
};

#if defined(__linux__)
ArmFeatures arm_features() {
    constexpr unsigned long kDotprod = 1UL << 20U;  // HWCAP_ASIMDDP
    constexpr unsigned long kI8mm = 1UL << 13U;     // HWCAP2_I8MM
    return {(getauxval(AT_HWCAP) & kDotprod) != 0, (getauxval(AT_HWCAP2) & kI8mm) != 0};
}
#elif defined(__APPLE__)
bool has_feature(const char* name) {
    int value = 0;
    size_t n_bytes = sizeof(value);
    return sysctlbyname(name, &value, &n_bytes, nullptr, 0) == 0 && value != 0;
}
ArmFeatures arm_features() {
    return {has_feature("hw.optional.arm.FEAT_DotProd"), has_feature("hw.optional.arm.FEAT_I8MM")};
}
#else
ArmFeatures arm_features() { return {}; }
#endif
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
    const bool avx512vnni = avx512 && __builtin_cpu_supports("avx512vnni");
    if (avx512vnni) set.add(Isa::avx512vnni);
    if (avx512vnni && has_amx()) set.add(Isa::amx);
#elif defined(__aarch64__)
    const ArmFeatures features = arm_features();
    set.add(Isa::neon);
    if (features.dotprod) set.add(Isa::dotprod);
    if (features.dotprod && features.i8mm) set.add(Isa::i8mm);
#endif
    return set;
}

IsaSet cap_isas(IsaSet available, Isa cap) {
    const uint32_t up_to_cap = (2U << static_cast<unsigned>(cap)) - 1U;
    return IsaSet{(available.bits & up_to_cap) | 1U};
}

}  // namespace gemlet
