// Attention over an int8 KV cache in 16-bit integers, for queries deep in a long context: there the
// multiply-adds with the cache outweigh those with the weights, and integers do twice as many of
// them as floats. Queries and the factors of the values are rounded to 15 bits and a sign, which
// moves the result by about 2^-16 of the largest value; near the start of a context attention stays
// in floats (core/text/attend.cpp draws the line).
//
// The arithmetic is that of kernels/attention, with these steps in place of its products:
//   codes of x_0 .. x_n: rint(x_i * (32767 / m)), m the largest |x_i|, unit m * (1 / 32767); all 0
//     with unit 0 where m < 1e-30
//   score = float(sum of q codes times key codes) * unit of q, then * k_scale
//   per block: factors p * v_scale of the keys in the query's range get codes, and
//     o[d] = fma(float(sum of codes times values), unit, o[d] * c)
// Sums are exact, so their order is free. Scores that are not finite give unspecified results, but
// only for the queries that see such a key.
#pragma once

#include <span>

#include "kernels/attention/attention.h"

namespace gemlet {

/// Longest head: the sum of so many products of codes fits 32 bits.
constexpr size_t kMaxIntHeadDim = 512;
/// Below this a row or block counts as zero, so that 32767 / m stays finite.
constexpr float kLeastIntMagnitude = 1e-30F;
constexpr float kLargestCode = 32767.0F;
constexpr float kCodeUnit = 1.0F / 32767.0F;

/// Floats of scratch that a call with these shapes may use.
size_t attention_int_scratch_floats(size_t n_queries, size_t head_dim);

/// Variants built into this library, best first, scalar last. `run` takes what those of
/// kernels/attention take, with an int8 cache and head_dim up to kMaxIntHeadDim.
std::span<const AttentionVariant* const> attention_int_variants();

}  // namespace gemlet
