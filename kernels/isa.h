// Instruction sets: their names, the order of preference and what this machine has.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace gemlet {

/// Instruction sets kernels are written for. Later ones of the same architecture are preferred.
enum class Isa : uint8_t {
    scalar,
    avx2,
    avxvnni,
    avx512,
    avx512vnni,
    amx,
    neon,
    dotprod,
    i8mm,
    sve2
};
constexpr size_t kIsas = 10;

/// Name as used everywhere: file suffix, option value, test and bench row.
const char* isa_name(Isa isa);
/// Inverse of isa_name; empty for an unknown name.
std::optional<Isa> isa_from_name(std::string_view name);

/// A set of instruction sets; scalar is always a member.
struct IsaSet {
    uint32_t bits = 1;
    constexpr bool has(Isa isa) const { return (bits >> static_cast<unsigned>(isa) & 1U) != 0; }
    constexpr void add(Isa isa) { bits |= 1U << static_cast<unsigned>(isa); }
};

/// Asks the CPU and the operating system (vector state saved) what may be executed here; on Linux
/// it also asks for leave to use AMX tiles, which this process then keeps.
IsaSet detect_isas();

/// Returns the members of `available` that a cap allows: those up to and including `cap` in order
/// of preference.
IsaSet cap_isas(IsaSet available, Isa cap);

}  // namespace gemlet
