// Row-major views of our arrays as Eigen matrices. Eigen hands products, rank updates and the
// Cholesky factorization's inner products to BLAS.
#define EIGEN_USE_BLAS
#include <Eigen/Cholesky>
#include <Eigen/Core>

#include "quant/convert/linear_algebra.h"

namespace gemlet {
namespace {

using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Strided = Eigen::OuterStride<>;

Eigen::Index index(size_t n) { return static_cast<Eigen::Index>(n); }

Eigen::Map<const RowMajor, 0, Strided> view(const float* data, size_t m, size_t n, size_t stride) {
    return {data, index(m), index(n), Strided(index(stride))};
}

Eigen::Map<RowMajor, 0, Strided> view(float* data, size_t m, size_t n, size_t stride) {
    return {data, index(m), index(n), Strided(index(stride))};
}

}  // namespace

bool have_linear_algebra() { return true; }

void add_gram(const float* x, size_t x_stride, size_t m, size_t k, float* gram) {
    view(gram, k, k, k)
        .selfadjointView<Eigen::Lower>()
        .rankUpdate(view(x, m, k, x_stride).transpose());
}

void add_cross(const float* a, size_t a_stride, const float* b, size_t b_stride, size_t m, size_t k,
               float* c) {
    view(c, k, k, k).noalias() += view(a, m, k, a_stride).transpose() * view(b, m, k, b_stride);
}

// (x h^-1)^T = h^-1 x^T, and x^T is x read by columns.
bool solve_right(const float* h, size_t k, float* x) {
    const Eigen::LLT<RowMajor, Eigen::Lower> llt(view(h, k, k, k));
    if (llt.info() != Eigen::Success) return false;
    Eigen::Map<Eigen::MatrixXf> transposed(x, index(k), index(k));
    llt.solveInPlace(transposed);
    return true;
}

void mirror_lower(float* matrix, size_t k) {
    for (size_t i = 0; i < k; ++i) {
        for (size_t j = 0; j < i; ++j) matrix[j * k + i] = matrix[i * k + j];
    }
}

void add_product(const Product& p) {
    view(p.c, p.m, p.n, p.c_stride).noalias() +=
        view(p.a, p.m, p.k, p.a_stride) * view(p.b, p.k, p.n, p.b_stride);
}

// Rows and columns in reverse order turn the upper factor into Cholesky's lower one:
// J h J = L L^T, so h = (J L J)(J L J)^T and J L J is upper triangular.
bool factor_in_order(const float* h, size_t k, std::span<const uint32_t> order, float* factor) {
    for (size_t i = 0; i < k; ++i) {
        const size_t row = order[k - 1 - i];
        for (size_t j = 0; j <= i; ++j) {
            const size_t column = order[k - 1 - j];
            factor[i * k + j] = row >= column ? h[row * k + column] : h[column * k + row];
        }
    }
    Eigen::Map<RowMajor> lower(factor, index(k), index(k));
    const Eigen::LLT<Eigen::Ref<RowMajor>, Eigen::Lower> llt(lower);
    if (llt.info() != Eigen::Success) return false;
    // Unit columns: M[s][t] = L[k-1-s][k-1-t] / L[k-1-t][k-1-t], written over L from both ends.
    for (size_t t = 0; t < k; ++t) {
        const float inverse = 1.0F / factor[t * k + t];
        if (!(inverse > 0.0F)) return false;
        for (size_t s = t + 1; s < k; ++s) factor[s * k + t] *= inverse;
    }
    // The strict lower triangle read backwards is the strict upper one read forwards.
    for (size_t s = 0; s < k; ++s) {
        for (size_t t = s; t < k; ++t) factor[s * k + t] = 0.0F;
    }
    for (size_t s = 0; s < k; ++s) {
        for (size_t t = s + 1; t < k; ++t) {
            std::swap(factor[s * k + t], factor[(k - 1 - s) * k + (k - 1 - t)]);
        }
    }
    return true;
}

}  // namespace gemlet
