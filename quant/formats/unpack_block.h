// Inside of quant/formats: one function per block format, and the loads they share. Everything here
// has internal linkage or is declared only.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gemlet {

constexpr size_t kMaxBlockWeights = 256;
constexpr size_t kMaxBlockGroups = 16;

/// Unpacks one block: codes [block_weights], scales and mins [block_weights/16]. Formats without
/// minimum leave mins alone; the caller has zeroed them.
using UnpackBlock = void (*)(const uint8_t* block, int8_t* codes, float* scales, float* mins);

void unpack_q4_0(const uint8_t* block, int8_t* codes, float* scales, float* mins);
void unpack_q4_1(const uint8_t* block, int8_t* codes, float* scales, float* mins);
void unpack_q5_0(const uint8_t* block, int8_t* codes, float* scales, float* mins);
void unpack_q5_1(const uint8_t* block, int8_t* codes, float* scales, float* mins);
void unpack_q8_0(const uint8_t* block, int8_t* codes, float* scales, float* mins);
void unpack_q2_k(const uint8_t* block, int8_t* codes, float* scales, float* mins);
void unpack_q3_k(const uint8_t* block, int8_t* codes, float* scales, float* mins);
void unpack_q4_k(const uint8_t* block, int8_t* codes, float* scales, float* mins);
void unpack_q5_k(const uint8_t* block, int8_t* codes, float* scales, float* mins);
void unpack_q6_k(const uint8_t* block, int8_t* codes, float* scales, float* mins);
void unpack_iq2_xxs(const uint8_t* block, int8_t* codes, float* scales, float* mins);
void unpack_iq2_xs(const uint8_t* block, int8_t* codes, float* scales, float* mins);
void unpack_iq2_s(const uint8_t* block, int8_t* codes, float* scales, float* mins);
void unpack_iq3_xxs(const uint8_t* block, int8_t* codes, float* scales, float* mins);
void unpack_iq3_s(const uint8_t* block, int8_t* codes, float* scales, float* mins);
void unpack_iq4_nl(const uint8_t* block, int8_t* codes, float* scales, float* mins);
void unpack_iq4_xs(const uint8_t* block, int8_t* codes, float* scales, float* mins);
void unpack_tq1_0(const uint8_t* block, int8_t* codes, float* scales, float* mins);
void unpack_tq2_0(const uint8_t* block, int8_t* codes, float* scales, float* mins);
void unpack_mxfp4(const uint8_t* block, int8_t* codes, float* scales, float* mins);
void unpack_nvfp4(const uint8_t* block, int8_t* codes, float* scales, float* mins);
void unpack_q1_0(const uint8_t* block, int8_t* codes, float* scales, float* mins);
void unpack_q2_0(const uint8_t* block, int8_t* codes, float* scales, float* mins);

/// Levels of the 4-bit non-linear formats iq4_nl and iq4_xs.
extern const int8_t kIq4Levels[16];

/// Reads a binary16 at any alignment.
float load_half(const uint8_t* bytes);

/// Little-endian reads at any alignment.
static inline uint32_t load_u16(const uint8_t* bytes) {
    return static_cast<uint32_t>(bytes[0]) | static_cast<uint32_t>(bytes[1]) << 8;
}
static inline uint32_t load_u32(const uint8_t* bytes) {
    return load_u16(bytes) | load_u16(bytes + 2) << 16;
}

}  // namespace gemlet
