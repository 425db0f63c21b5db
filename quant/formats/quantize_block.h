// Inside of quant/formats: block quantizers and what they share.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gemlet {

/// Quantizes one block: values [block_weights] to block [block_bytes].
using QuantizeBlock = void (*)(const float* values, uint8_t* block);

void quantize_q4_0(const float* values, uint8_t* block);
void quantize_q4_1(const float* values, uint8_t* block);
void quantize_q5_0(const float* values, uint8_t* block);
void quantize_q5_1(const float* values, uint8_t* block);
void quantize_q8_0(const float* values, uint8_t* block);
void quantize_iq4_nl(const float* values, uint8_t* block);
void quantize_q2_k(const float* values, uint8_t* block);
void quantize_q3_k(const float* values, uint8_t* block);
void quantize_q4_k(const float* values, uint8_t* block);
void quantize_q5_k(const float* values, uint8_t* block);
void quantize_q6_k(const float* values, uint8_t* block);

/// Returns value / step rounded to the nearest integer (ties to even) and clamped to [low, high]; 0
/// clamped for a step of zero; low for NaN.
int nearest_code(float value, float step, int low, int high);

/// Returns the value of largest magnitude, sign kept; 0 if there is none but NaN.
float extreme_of(const float* values, size_t n);

/// Smallest and largest of n values, NaN left out; both 0 if nothing else is there.
struct ValueRange {
    float low;
    float high;
};
ValueRange range_of(const float* values, size_t n);

/// Writes a scale as binary16, saturated to its finite range (NaN as 0); returns what it wrote.
float store_half(float value, uint8_t* bytes);

}  // namespace gemlet
