// The loops of the ceilings on 64-bit ARM: reading, and a byte product in as many independent sums
// as hide its latency. Included by files that define multiply_add; everything has internal linkage.
#pragma once

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>

namespace gemlet {
namespace {

constexpr size_t kReadChains = 8;  // 128 bytes, of which the args hold a multiple
constexpr size_t kChains = 16;     // 4 pipes of a Neoverse V1, 4 cycles each

uint64_t read_all(const uint8_t* data, size_t n_bytes) {
    uint8x16_t sum[kReadChains];
#pragma GCC unroll 8
    for (uint8x16_t& part : sum) part = vdupq_n_u8(0);
    for (size_t at = 0; at < n_bytes; at += sizeof sum) {
#pragma GCC unroll 8
        for (size_t i = 0; i < kReadChains; ++i) {
            sum[i] = veorq_u8(sum[i], vld1q_u8(data + at + i * sizeof(uint8x16_t)));
        }
    }
#pragma GCC unroll 8
    for (size_t i = 1; i < kReadChains; ++i) sum[0] = veorq_u8(sum[0], sum[i]);
    const uint64x2_t both = vreinterpretq_u64_u8(sum[0]);
    return vgetq_lane_u64(both, 0) ^ vgetq_lane_u64(both, 1);
}

// Sum: a register type; multiply_add(sum, a, b) does kMultiplyAdds of them.
template <class Product>
uint64_t multiply(size_t n_steps) {
    typename Product::Sum sum[kChains] = {};
    int8x16_t field = vdupq_n_s8(1);
    const int8x16_t code = vdupq_n_s8(2);
    for (size_t step = 0; step < n_steps; ++step) {
#pragma GCC unroll 16
        for (size_t i = 0; i < kChains; ++i) {
            __asm__ volatile("" : "+w"(field));  // the compiler must not know the product
            sum[i] = Product::multiply_add(sum[i], field, code, i);
        }
    }
#pragma GCC unroll 16
    for (typename Product::Sum& part : sum) __asm__ volatile("" : "+w"(part));
    return n_steps * kChains * Product::kMultiplyAdds;
}

}  // namespace
}  // namespace gemlet
