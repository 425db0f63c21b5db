// The row operations of vector.h, written on parts once for all instruction sets. Included
// after canonical_parts.h; everything has internal linkage. None of this is tuned further: rows are
// short against the weights that a token reads, and lie in the first-level cache.
#pragma once

#include "kernels/vector/vector.h"

namespace gemlet {
namespace {

// Calls one(i, n) for parts of n lanes starting at i: whole parts, then the rest.
template <class One>
inline void for_parts(size_t n, One one) {
    size_t i = 0;
    for (; i + kPartLanes <= n; i += kPartLanes) one(i, kPartLanes);
    if (i < n) one(i, n - i);
}

inline Part load_lanes(const float* from, size_t n) {
    return n == kPartLanes ? part_load(from) : part_load_first(from, n);
}

inline void store_lanes(float* to, Part v, size_t n) {
    if (n == kPartLanes) {
        part_store(to, v);
    } else {
        part_store_first(to, v, n);
    }
}

float sum_of_squares(const float* x, size_t n) {
    Part lanes[kParts];
    for (Part& part : lanes) part = part_zero();
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
#pragma GCC unroll 4
        for (size_t part = 0; part < kParts; ++part) {
            const Part v = part_load(x + i + part * kPartLanes);
            lanes[part] = part_fma(v, v, lanes[part]);
        }
    }
    for (size_t part = 0; part < kParts && i + part * kPartLanes < n; ++part) {
        const Part v = part_load_first(x + i + part * kPartLanes, lanes_in_part(n - i, part));
        lanes[part] = part_fma(v, v, lanes[part]);
    }
    return part_tree(lanes);
}

void rms_norm(const float* x, const float* weight, float* out, size_t n, float eps) {
    const float mean = sum_of_squares(x, n) / static_cast<float>(n);
    const Part r = part_set(1.0F / sqrtf(mean + eps));
    if (weight == nullptr) {
        for_parts(n, [&](size_t i, size_t lanes) {
            store_lanes(out + i, part_mul(load_lanes(x + i, lanes), r), lanes);
        });
        return;
    }
    for_parts(n, [&](size_t i, size_t lanes) {
        const Part normed = part_mul(load_lanes(x + i, lanes), r);
        store_lanes(out + i, part_mul(normed, load_lanes(weight + i, lanes)), lanes);
    });
}

inline Part part_gelu(Part g) {
    const Part cubic = part_mul(part_mul(part_set(0.044715F), g), part_mul(g, g));
    const Part inner = part_mul(part_set(0x1.988454p-1F), part_add(g, cubic));
    return part_mul(part_mul(part_set(0.5F), g), part_add(part_set(1.0F), part_tanh(inner)));
}

void gelu_mul(const float* gate, const float* up, float* out, size_t n) {
    for_parts(n, [&](size_t i, size_t lanes) {
        const Part gelu = part_gelu(load_lanes(gate + i, lanes));
        store_lanes(out + i, part_mul(gelu, load_lanes(up + i, lanes)), lanes);
    });
}

void sigmoid_mul(const float* x, const float* gate, float* out, size_t n) {
    for_parts(n, [&](size_t i, size_t lanes) {
        const Part e = part_exp(part_sub(part_set(-0.0F), load_lanes(gate + i, lanes)));
        const Part divisor = part_add(part_set(1.0F), e);
        store_lanes(out + i, part_div(load_lanes(x + i, lanes), divisor), lanes);
    });
}

void soft_cap(const float* x, float* out, size_t n, float cap) {
    const Part factor = part_set(cap);
    for_parts(n, [&](size_t i, size_t lanes) {
        const Part ratio = part_div(load_lanes(x + i, lanes), factor);
        store_lanes(out + i, part_mul(factor, part_tanh(ratio)), lanes);
    });
}

void add_scale(const float* a, const float* b, float* out, size_t n, float factor) {
    for_parts(n, [&](size_t i, size_t lanes) {
        const Part sum = part_add(load_lanes(a + i, lanes), load_lanes(b + i, lanes));
        store_lanes(out + i, part_mul(sum, part_set(factor)), lanes);
    });
}

void scale(const float* x, float* out, size_t n, float factor) {
    for_parts(n, [&](size_t i, size_t lanes) {
        store_lanes(out + i, part_mul(load_lanes(x + i, lanes), part_set(factor)), lanes);
    });
}

void axpy(const float* x, float* out, size_t n, float factor) {
    for_parts(n, [&](size_t i, size_t lanes) {
        const Part sum =
            part_fma(load_lanes(x + i, lanes), part_set(factor), load_lanes(out + i, lanes));
        store_lanes(out + i, sum, lanes);
    });
}

void rope(float* x, const float* cosine, const float* sine, size_t half) {
    for_parts(half, [&](size_t i, size_t lanes) {
        const Part a = load_lanes(x + i, lanes);
        const Part b = load_lanes(x + half + i, lanes);
        const Part c = load_lanes(cosine + i, lanes);
        const Part s = load_lanes(sine + i, lanes);
        store_lanes(x + i, part_fms(a, c, part_mul(b, s)), lanes);
        store_lanes(x + half + i, part_fma(b, c, part_mul(a, s)), lanes);
    });
}

void to_f16(const float* x, uint16_t* out, size_t n) {
    for_parts(n, [&](size_t i, size_t lanes) {
        uint16_t halves[kPartLanes];
        part_store_f16(halves, load_lanes(x + i, lanes));
        memcpy(out + i, halves, lanes * sizeof(uint16_t));
    });
}

void to_i8(const float* x, int8_t* out, size_t n, float step) {
    for_parts(n, [&](size_t i, size_t lanes) {
        const Part v = part_div(load_lanes(x + i, lanes), part_set(step));
        int8_t codes[kPartLanes];
        part_store_i8(codes, part_min(part_max(v, part_set(-128.0F)), part_set(127.0F)));
        memcpy(out + i, codes, lanes);
    });
}

void from_i8(const int8_t* codes, float* out, size_t n, float step) {
    for_parts(n, [&](size_t i, size_t lanes) {
        int8_t some[kPartLanes] = {};
        const int8_t* from = codes + i;
        if (lanes != kPartLanes) {
            memcpy(some, from, lanes);
            from = some;
        }
        store_lanes(out + i, part_mul(part_load_i8(from), part_set(step)), lanes);
    });
}

float max_abs(const float* x, size_t n) {
    Part largest = part_zero();
    for_parts(n, [&](size_t i, size_t lanes) {
        largest = part_max(part_abs(load_lanes(x + i, lanes)), largest);
    });
    return part_largest(largest);
}

float softmax_exp(float* x, size_t n) {
    Part maxima = part_set(-INFINITY);
    for_parts(n, [&](size_t i, size_t lanes) {
        const Part v = load_lanes(x + i, lanes);
        const auto end = static_cast<int>(lanes);
        maxima = part_max(part_in_range(v, part_set(-INFINITY), 0, end), maxima);
    });
    const Part largest = part_set(part_largest(maxima));
    Part sums[kParts];
    for (Part& part : sums) part = part_zero();
    for_parts(n, [&](size_t i, size_t lanes) {
        const Part e = part_exp(part_sub(load_lanes(x + i, lanes), largest));
        store_lanes(x + i, e, lanes);
        Part& sum = sums[i / kPartLanes % kParts];
        sum = part_add(sum, part_in_range(e, part_zero(), 0, static_cast<int>(lanes)));
    });
    return part_tree(sums);
}

// The variant made of these operations.
constexpr VectorVariant rows_variant(const char* name, Isa isa) {
    return {
        .name = name,
        .isa = isa,
        .rms_norm = rms_norm,
        .gelu_mul = gelu_mul,
        .sigmoid_mul = sigmoid_mul,
        .soft_cap = soft_cap,
        .add_scale = add_scale,
        .scale = scale,
        .axpy = axpy,
        .rope = rope,
        .to_f16 = to_f16,
        .to_i8 = to_i8,
        .from_i8 = from_i8,
        .max_abs = max_abs,
        .softmax_exp = softmax_exp,
    };
}

}  // namespace
}  // namespace gemlet
