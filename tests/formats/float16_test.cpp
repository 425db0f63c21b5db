// Half and bfloat16 over all 65,536 values and every rounding boundary, against arithmetic in
// double and, where the CPU has them, against the F16C instructions.
#include "quant/formats/float16.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <vector>

#include "tests/formats/format_golden.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace gemlet {
namespace {

uint32_t bits_of(float value) { return std::bit_cast<uint32_t>(value); }
float float_of(uint32_t bits) { return std::bit_cast<float>(bits); }

bool is_nan_half(uint32_t half) { return (half & 0x7FFF) > 0x7C00; }

// The value of a finite half by its definition.
double half_by_definition(uint32_t half) {
    const int exponent = static_cast<int>((half >> 10) & 31);
    const double mantissa = static_cast<double>(half & 0x3FF) / 1024.0;
    const double magnitude =
        exponent == 0 ? std::ldexp(mantissa, -14) : std::ldexp(1.0 + mantissa, exponent - 15);
    return (half & 0x8000) != 0 ? -magnitude : magnitude;
}

TEST(Float16, widens_all_values) {
    for (uint32_t half = 0; half < 65536; ++half) {
        const float wide = f16_to_f32(static_cast<uint16_t>(half));
        const uint32_t sign = (half & 0x8000) << 16;
        if (is_nan_half(half)) {
            ASSERT_EQ(bits_of(wide), sign | 0x7FC00000U | (half & 0x3FF) << 13) << half;
        } else if ((half & 0x7FFF) == 0x7C00) {
            ASSERT_EQ(bits_of(wide), sign | 0x7F800000U) << half;
        } else {
            ASSERT_EQ(static_cast<double>(wide), half_by_definition(half)) << half;
            ASSERT_EQ(bits_of(wide) >> 31, half >> 15) << half;
        }
    }
}

TEST(Float16, narrows_all_values_back) {
    for (uint32_t half = 0; half < 65536; ++half) {
        const uint32_t back = f32_to_f16(f16_to_f32(static_cast<uint16_t>(half)));
        ASSERT_EQ(back, is_nan_half(half) ? half | 0x200 : half);
    }
}

TEST(Float16, rounds_to_nearest_even_at_every_boundary) {
    for (uint32_t half = 0; half < 0x7C00; ++half) {
        const double low = half_by_definition(half);
        // The step above the largest half leads to 2^16, which rounds to infinity.
        const double high = half == 0x7BFF ? 65536.0 : half_by_definition(half + 1);
        const auto middle = static_cast<float>((low + high) / 2.0);
        const uint32_t even = half + (half & 1);
        for (const uint32_t sign : {0U, 1U}) {
            const float flip = sign != 0 ? -1.0F : 1.0F;
            ASSERT_EQ(f32_to_f16(flip * middle), sign << 15 | even) << half;
            ASSERT_EQ(f32_to_f16(flip * std::nextafter(middle, 0.0F)), sign << 15 | half) << half;
            ASSERT_EQ(f32_to_f16(flip * std::nextafter(middle, 1e30F)), sign << 15 | (half + 1))
                << half;
        }
    }
}

TEST(Float16, narrows_special_values) {
    EXPECT_EQ(f32_to_f16(float_of(0x00000001)), 0x0000);  // smallest float32 subnormal
    EXPECT_EQ(f32_to_f16(float_of(0x80000000)), 0x8000);
    EXPECT_EQ(f32_to_f16(float_of(0x7F7FFFFF)), 0x7C00);
    EXPECT_EQ(f32_to_f16(float_of(0xFF800000)), 0xFC00);
    EXPECT_EQ(f32_to_f16(float_of(0x7F800001)), 0x7E00);  // signalling NaN without upper payload
    EXPECT_EQ(f32_to_f16(float_of(0xFFBFFFFF)), 0xFFFF);
}

#if defined(__x86_64__)
__attribute__((target("f16c"))) uint32_t narrow_by_cpu(float value) {
    return _cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT);
}
__attribute__((target("f16c"))) uint32_t widen_by_cpu(uint16_t half) {
    return bits_of(_cvtsh_ss(half));
}

TEST(Float16, agrees_with_the_cpu) {
    if (!__builtin_cpu_supports("avx2")) GTEST_SKIP() << "no F16C";
    for (uint32_t half = 0; half < 65536; ++half) {
        const auto bits = static_cast<uint16_t>(half);
        ASSERT_EQ(bits_of(f16_to_f32(bits)), widen_by_cpu(bits)) << half;
    }
    // Every sign, exponent and leading mantissa pattern, with low bits that vary: 2^21 floats.
    const std::vector<uint8_t> low = noise_bytes(3, 4096);
    for (uint32_t top = 0; top < 1U << 21; ++top) {
        const float value = float_of(top << 11 | (low[top % 4096] * 8U & 0x7FF));
        ASSERT_EQ(uint32_t{f32_to_f16(value)}, narrow_by_cpu(value)) << bits_of(value);
    }
}
#endif

TEST(Bfloat16, keeps_all_values) {
    for (uint32_t half = 0; half < 65536; ++half) {
        const auto bits = static_cast<uint16_t>(half);
        ASSERT_EQ(bits_of(bf16_to_f32(bits)), half << 16);
        const bool is_nan = (half & 0x7FFF) > 0x7F80;
        ASSERT_EQ(f32_to_bf16(float_of(half << 16)), is_nan ? half | 0x40 : half);
    }
}

TEST(Bfloat16, rounds_to_nearest_even_at_every_boundary) {
    for (uint32_t half = 0; half < 65536; ++half) {
        if ((half & 0x7FFF) >= 0x7F80) continue;
        ASSERT_EQ(f32_to_bf16(float_of(half << 16 | 0x7FFF)), half);
        ASSERT_EQ(f32_to_bf16(float_of(half << 16 | 0x8000)), half + (half & 1));
        ASSERT_EQ(f32_to_bf16(float_of(half << 16 | 0x8001)), half + 1);
    }
    EXPECT_EQ(f32_to_bf16(float_of(0x7F800001)), 0x7FC0);  // NaN must not round to infinity
    EXPECT_EQ(f32_to_bf16(float_of(0xFFFFFFFF)), 0xFFFF);
}

TEST(Float16, rows_convert_like_single_values) {
    const std::vector<float> values = noise(5, 37);
    std::vector<uint16_t> halves(37);
    std::vector<float> back(37);
    f32_to_f16_row(values.data(), 37, halves.data());
    f16_to_f32_row(halves.data(), 37, back.data());
    for (size_t i = 0; i < 37; ++i) ASSERT_EQ(back[i], f16_to_f32(f32_to_f16(values[i])));
    f32_to_bf16_row(values.data(), 37, halves.data());
    bf16_to_f32_row(halves.data(), 37, back.data());
    for (size_t i = 0; i < 37; ++i) ASSERT_EQ(back[i], bf16_to_f32(f32_to_bf16(values[i])));
}

}  // namespace
}  // namespace gemlet
