// Element-wise work on float rows between the matrix products: norms, activation functions, rotary
// embedding, conversions. One canonical arithmetic (kernels/README.md): every variant gives the
// same bits. Sums run over 16 lanes (lane = index mod 16, one fused multiply-add per element in
// index order), then the fixed tree i+8, i+4, i+2, i+1. Every operator below is one rounded IEEE
// operation, in the order of the brackets; exp and tanh are those of kernels/vector/canonical.h.
// NaN in a row never traps; which results it reaches, and as which NaN, is unspecified.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/isa.h"

namespace gemlet {

/// One implementation of all row operations. Pointers need no alignment; rows have any length n > 0
/// (tails included). Nothing fails; pure; callers split rows among threads. Unless said otherwise
/// `out` may equal an input.
struct VectorVariant {
    const char* name;
    Isa isa;

    /// out[i] = (x[i] * r) * weight[i], r = 1 / sqrt(sum(x^2) / n + eps); weight may be null (all
    /// ones). Source: Zhang and Sennrich 2019, section 4; the weight is used as it is.
    void (*rms_norm)(const float* x, const float* weight, float* out, size_t n, float eps);
    /// out[i] = gelu(gate[i]) * up[i], the tanh form:
    /// gelu(g) = (0.5 * g) * (1 + tanh(sqrt(2/pi) * (g + (0.044715 * g) * (g * g)))).
    void (*gelu_mul)(const float* gate, const float* up, float* out, size_t n);
    /// out[i] = x[i] / (1 + exp(-gate[i])): with gate = x the SiLU, else a gated linear unit.
    void (*sigmoid_mul)(const float* x, const float* gate, float* out, size_t n);
    /// out[i] = cap * tanh(x[i] / cap).
    void (*soft_cap)(const float* x, float* out, size_t n, float cap);
    /// out[i] = (a[i] + b[i]) * scale.
    void (*add_scale)(const float* a, const float* b, float* out, size_t n, float scale);
    /// out[i] = x[i] * scale.
    void (*scale)(const float* x, float* out, size_t n, float scale);
    /// out[i] = fma(x[i], scale, out[i]).
    void (*axpy)(const float* x, float* out, size_t n, float scale);
    /// Rotates pairs (j, j + half) of one head in place: a*c - b*s and b*c + a*s, each as
    /// fma(a, c, -(b*s)) and fma(b, c, a*s).
    void (*rope)(float* x, const float* cosine, const float* sine, size_t half);
    /// Rounds to nearest even.
    void (*to_f16)(const float* x, uint16_t* out, size_t n);
    /// out[i] = clamp(rint(x[i] / scale), -128, 127), ties to even; scale > 0; NaN gives -128.
    void (*to_i8)(const float* x, int8_t* out, size_t n, float scale);
    /// out[i] = codes[i] * scale.
    void (*from_i8)(const int8_t* codes, float* out, size_t n, float scale);
    /// Largest |x[i]|; NaN is passed over.
    float (*max_abs)(const float* x, size_t n);
    /// x[i] = exp(x[i] - max(x)), returns the sum of the results (canonical lanes). Entries of
    /// -infinity become 0, if one of the others is finite.
    float (*softmax_exp)(float* x, size_t n);
};

/// Variants built into this library, best first, scalar last.
std::span<const VectorVariant* const> vector_variants();

}  // namespace gemlet
