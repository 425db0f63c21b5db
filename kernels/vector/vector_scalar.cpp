// The contract written out, one element after the other: the definition that every other variant
// reproduces bit for bit.
#include <math.h>

#include "kernels/vector/canonical.h"
#include "kernels/vector/vector.h"
#include "quant/formats/float16.h"

namespace gemlet {
namespace {

float sum_of_squares(const float* x, size_t n) {
    float lanes[kLanes] = {};
    for (size_t i = 0; i < n; ++i) lanes[i % kLanes] = fmaf(x[i], x[i], lanes[i % kLanes]);
    return canonical_tree(lanes);
}

void rms_norm(const float* x, const float* weight, float* out, size_t n, float eps) {
    const float mean = sum_of_squares(x, n) / static_cast<float>(n);
    const float r = 1.0F / sqrtf(mean + eps);
    for (size_t i = 0; i < n; ++i) {
        const float normed = x[i] * r;
        out[i] = weight == nullptr ? normed : normed * weight[i];
    }
}

float gelu(float g) {
    const float cubic = (0.044715F * g) * (g * g);
    const float inner = 0x1.988454p-1F * (g + cubic);  // sqrt(2 / pi)
    return (0.5F * g) * (1.0F + canonical_tanh(inner));
}

void gelu_mul(const float* gate, const float* up, float* out, size_t n) {
    for (size_t i = 0; i < n; ++i) out[i] = gelu(gate[i]) * up[i];
}

void sigmoid_mul(const float* x, const float* gate, float* out, size_t n) {
    for (size_t i = 0; i < n; ++i) out[i] = x[i] / (1.0F + canonical_exp(-gate[i]));
}

void soft_cap(const float* x, float* out, size_t n, float cap) {
    for (size_t i = 0; i < n; ++i) out[i] = cap * canonical_tanh(x[i] / cap);
}

void add_scale(const float* a, const float* b, float* out, size_t n, float factor) {
    for (size_t i = 0; i < n; ++i) out[i] = (a[i] + b[i]) * factor;
}

void scale(const float* x, float* out, size_t n, float factor) {
    for (size_t i = 0; i < n; ++i) out[i] = x[i] * factor;
}

void axpy(const float* x, float* out, size_t n, float factor) {
    for (size_t i = 0; i < n; ++i) out[i] = fmaf(x[i], factor, out[i]);
}

void rope(float* x, const float* cosine, const float* sine, size_t half) {
    for (size_t i = 0; i < half; ++i) {
        const float a = x[i];
        const float b = x[i + half];
        x[i] = fmaf(a, cosine[i], -(b * sine[i]));
        x[i + half] = fmaf(b, cosine[i], a * sine[i]);
    }
}

void to_f16(const float* x, uint16_t* out, size_t n) { f32_to_f16_row(x, n, out); }

void to_i8(const float* x, int8_t* out, size_t n, float step) {
    for (size_t i = 0; i < n; ++i) {
        const float v = x[i] / step;
        // NaN becomes -128. Clamping first is the same as last, and keeps the conversion defined.
        const float above = v > -128.0F ? v : -128.0F;
        const float clamped = above < 127.0F ? above : 127.0F;
        out[i] = static_cast<int8_t>(rintf(clamped));
    }
}

void from_i8(const int8_t* codes, float* out, size_t n, float step) {
    for (size_t i = 0; i < n; ++i) out[i] = static_cast<float>(codes[i]) * step;
}

float max_abs(const float* x, size_t n) {
    float largest = 0.0F;
    for (size_t i = 0; i < n; ++i) {
        const float a = fabsf(x[i]);
        largest = a > largest ? a : largest;
    }
    return largest;
}

float softmax_exp(float* x, size_t n) {
    float largest = -INFINITY;
    for (size_t i = 0; i < n; ++i) largest = x[i] > largest ? x[i] : largest;
    float lanes[kLanes] = {};
    for (size_t i = 0; i < n; ++i) {
        x[i] = canonical_exp(x[i] - largest);
        lanes[i % kLanes] += x[i];
    }
    return canonical_tree(lanes);
}

}  // namespace

extern const VectorVariant vector_scalar;
const VectorVariant vector_scalar = {
    .name = "scalar",
    .isa = Isa::scalar,
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

}  // namespace gemlet
