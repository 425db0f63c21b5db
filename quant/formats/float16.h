// Half precision and bfloat16, bit by bit. These are ordinary functions on purpose: files built for
// one instruction set include this header, and an inline function shared with them could end up in
// the program as its AVX-512 copy.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gemlet {

/// Returns the float32 value of an IEEE binary16. Exact; a signalling NaN becomes quiet, its
/// payload and sign are kept. Source: IEEE 754-2019, 3.4; same bits as the x86 instruction
/// VCVTPH2PS.
float f16_to_f32(uint16_t half);

/// Returns the binary16 nearest to a float32, ties to even; above 65,520 infinity, small values
/// subnormal or zero, NaN quiet with the upper payload bits kept.
/// Source: same bits as the x86 instruction VCVTPS2PH with rounding to nearest.
uint16_t f32_to_f16(float value);

/// Returns the float32 value of a bfloat16: its bits are the upper half. Exact.
float bf16_to_f32(uint16_t bits);

/// Returns the bfloat16 nearest to a float32, ties to even; NaN stays NaN and becomes quiet.
uint16_t f32_to_bf16(float value);

/// The same for n values each. out must not overlap values.
void f16_to_f32_row(const uint16_t* halves, size_t n, float* out);
void f32_to_f16_row(const float* values, size_t n, uint16_t* out);
void bf16_to_f32_row(const uint16_t* bits, size_t n, float* out);
void f32_to_bf16_row(const float* values, size_t n, uint16_t* out);

}  // namespace gemlet
