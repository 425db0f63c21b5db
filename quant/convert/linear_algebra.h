// The few matrix products and the factorization that error-compensated rounding needs. With
// GEMLET_QUANT they are Eigen's on OpenBLAS; without it there are none, and only the methods
// `round` and `search` exist. Threads: the library's own; one call at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace gemlet {

/// Whether the functions below do anything.
bool have_linear_algebra();

/// gram += x^T x, its lower triangle only. Shapes: gram [k, k], x [m, k], x_stride in elements.
void add_gram(const float* x, size_t x_stride, size_t m, size_t k, float* gram);

/// c += a^T b. Shapes: a [m, k], b [m, k], c [k, k]; strides of a and b in elements.
void add_cross(const float* a, size_t a_stride, const float* b, size_t b_stride, size_t m, size_t k,
               float* c);

/// x = x h^-1 for a symmetric positive definite h, of which the lower triangle is read. Shapes: h,
/// x [k, k]. Returns false, with x unchanged, where h is not positive definite.
bool solve_right(const float* h, size_t k, float* x);

/// Copies the lower triangle of a [k, k] matrix to the upper one.
void mirror_lower(float* matrix, size_t k);

/// c += a b. Shapes: a [m, k], b [k, n], c [m, n]; strides in elements.
struct Product {
    const float* a;
    size_t a_stride;
    const float* b;
    size_t b_stride;
    float* c;
    size_t c_stride;
    size_t m, k, n;
};
void add_product(const Product& product);

/// Factors a symmetric positive definite matrix h, of which the lower triangle is read, with its
/// rows and columns taken in `order`: h = M D M^T with M unit upper triangular and D diagonal.
/// Writes M's strict upper triangle to `factor` [k, k] (the rest is zero). Returns false where h is
/// not positive definite. Aliasing: factor is not h.
bool factor_in_order(const float* h, size_t k, std::span<const uint32_t> order, float* factor);

}  // namespace gemlet
