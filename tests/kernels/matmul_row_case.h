// One matrix product of the QAT mobile scheme in guarded buffers, for the tests of matmul_row.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "kernels/matmul_row/matmul_row.h"
#include "tests/kernels/support.h"

namespace gemlet {
#ifdef GEMLET_EMULATED_KERNELS
extern const MatmulRowVariant matmul_row_avxvnni_emulated;
extern const MatmulRowVariant matmul_row_avx512vnni_emulated;
extern const MatmulRowVariant matmul_row_amx_emulated;
#endif

namespace test {

inline std::vector<TestedVariant<MatmulRowVariant>> matmul_row_tested() {
    std::vector<const MatmulRowVariant*> emulated;
#ifdef GEMLET_EMULATED_KERNELS
    emulated.push_back(&matmul_row_avxvnni_emulated);
    emulated.push_back(&matmul_row_avx512vnni_emulated);
    emulated.push_back(&matmul_row_amx_emulated);
#endif
    return tested_variants<MatmulRowVariant>(matmul_row_variants(), emulated);
}

struct RowShape {
    WeightType type;
    size_t n_limbs;
    size_t m;
    size_t n;
    size_t k;
};

/// Bytes of a packed weight row.
inline size_t packed_bytes(WeightType type, size_t k) {
    const size_t per_byte = row_streams(type);
    return (k + per_byte - 1) / per_byte;
}

/// Weights, scales and inputs end at inaccessible pages. Packed rows are as short as they may be.
struct RowCase {
    RowShape shape;
    GuardedBuffer<uint8_t> weights;
    GuardedBuffer<uint8_t> weight_scale;
    GuardedBuffer<float> x;
    float input_scale = 0.0F;
    float output_scale = 0.0F;

    explicit RowCase(const RowShape& s)
        : shape(s),
          weights(s.n * packed_bytes(s.type, s.k)),
          weight_scale(s.n * sizeof(float)),
          x(s.m * s.k) {
        if (s.n_limbs == 1) input_scale = 0.03125F;
    }
    void set_weight_scale(size_t n, float value) {
        memcpy(weight_scale.data() + n * sizeof(float), &value, sizeof(value));
    }
    float get_weight_scale(size_t n) const {
        float value = 0.0F;
        memcpy(&value, weight_scale.data() + n * sizeof(float), sizeof(value));
        return value;
    }
};

inline void fill_random(RowCase& c, uint32_t seed) {
    Random random(seed);
    for (uint8_t& byte : c.weights.span()) byte = random.byte();
    for (size_t n = 0; n < c.shape.n; ++n) c.set_weight_scale(n, random.uniform(0.001F, 0.02F));
    // A few inputs lie beyond the clamp of +-4.
    for (float& v : c.x.span()) v = random.uniform(-4.5F, 4.5F);
    c.output_scale = 0.0F;
}

/// Packed activations in guarded memory.
struct PackedRows {
    GuardedBuffer<int8_t> codes;
    GuardedBuffer<int32_t> sums;
    GuardedBuffer<float> scale;
    RowActivations view;

    explicit PackedRows(const RowShape& s)
        : codes(s.m * s.n_limbs * row_streams(s.type) * row_stream_bytes(s.type, s.k), 0x55),
          sums(s.m * s.n_limbs, 0x55),
          scale(s.m, 0x55),
          view{codes.data(), sums.data(), scale.data(), s.n_limbs, row_stream_bytes(s.type, s.k)} {}
};

inline void pack(const MatmulRowVariant& variant, const RowCase& c, PackedRows& out) {
    variant.pack({.x = c.x.data(),
                  .x_stride = c.shape.k,
                  .m = c.shape.m,
                  .k = c.shape.k,
                  .type = c.shape.type,
                  .input_scale = c.input_scale,
                  .out = out.view});
}

/// Output with a few canaries behind every row; the last row ends at an inaccessible page.
struct Output {
    static constexpr size_t kPad = 3;
    size_t n;
    GuardedBuffer<float> values;

    explicit Output(const RowShape& s) : n(s.n), values(s.m * (s.n + kPad) - kPad) {
        for (float& v : values.span()) v = canary();
    }
    size_t stride() const { return n + kPad; }
    float at(size_t row, size_t column) const { return values[row * stride() + column]; }
    size_t canaries() const {
        size_t count = 0;
        for (const float v : values.span()) count += is_canary(v) ? 1 : 0;
        return count;
    }
};

inline void run(const MatmulRowVariant& variant, const RowCase& c, const RowActivations& x,
                size_t n_begin, size_t n_end, Output& out) {
    variant.run({.weights = c.weights.data(),
                 .weight_stride_bytes = packed_bytes(c.shape.type, c.shape.k),
                 .type = c.shape.type,
                 .weight_scale = c.weight_scale.data(),
                 .x = x,
                 .output_scale = c.output_scale,
                 .out = out.values.data(),
                 .out_stride = out.stride(),
                 .m = c.shape.m,
                 .n_begin = n_begin,
                 .n_end = n_end,
                 .k = c.shape.k});
}

/// The same product as codes; `codes` [m, n_end] with `stride` between rows.
inline void run_codes(const MatmulRowVariant& variant, const RowCase& c, const RowActivations& x,
                      size_t n_begin, size_t n_end, int8_t* codes, size_t stride) {
    variant.run({.weights = c.weights.data(),
                 .weight_stride_bytes = packed_bytes(c.shape.type, c.shape.k),
                 .type = c.shape.type,
                 .weight_scale = c.weight_scale.data(),
                 .x = x,
                 .output_scale = c.output_scale,
                 .out = nullptr,
                 .out_stride = 0,
                 .m = c.shape.m,
                 .n_begin = n_begin,
                 .n_end = n_end,
                 .k = c.shape.k,
                 .out_codes = codes,
                 .out_codes_stride = stride});
}

}  // namespace test
}  // namespace gemlet
