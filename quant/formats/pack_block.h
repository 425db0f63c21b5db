// Inside of quant/formats: integer fields into the bytes of a block. Everything but pack_nibbles
// and pack_fifth_bits, which fill their bytes, is or-ed into cleared ones.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gemlet {

/// Low nibbles of 32 codes into bytes [16], codes 0..15 and 16..31 side by side.
void pack_nibbles(const int* codes, uint8_t* bytes);
/// Bit 4 of 32 codes into bytes [4], little-endian.
void pack_fifth_bits(const int* codes, uint8_t* bytes);
/// 256 codes of two bits into bytes [64].
void pack_twos(const int* codes, uint8_t* bytes);
/// Low nibbles of 256 codes into bytes [128], runs of 32 side by side.
void pack_nibble_runs(const int* codes, uint8_t* bytes);
/// One bit of each of 256 codes into bytes [32]: bit i/32 of byte i%32.
void pack_bits(const int* codes, int bit, uint8_t* bytes);
/// Six-bit scales and minimums [8] of q4_k and q5_k into bytes [12].
void pack_k_pairs(const int* scales, const int* mins, uint8_t* bytes);
/// Scales [16], -32..31, of q3_k into bytes [12].
void pack_q3_k_scales(const int* scales, uint8_t* bytes);
/// 256 codes of six bits, 0..63, into the 192 bytes of q6_k.
void pack_sixes(const int* codes, uint8_t* bytes);
/// Scales [8], -32..31, of iq4_xs into its block.
void pack_iq4_xs_scales(const int* scales, uint8_t* block);

}  // namespace gemlet
