// Matrix products of the decoder: picks the kernel family by weight type and splits the weight rows
// among the workers.
#pragma once

#include <cstddef>
#include <span>

#include "core/model/weights.h"
#include "core/text/linear_input.h"

namespace gemlet {

/// Rows as a product leaves them: floats, or int8 codes of the matrix's static output scale, which
/// are a quarter of the bytes and the same values.
struct ProductRows {
    float* values = nullptr;
    int8_t* codes = nullptr;  // set: codes instead of values
    float scale = 0;          // of the codes
    size_t stride = 0;        // elements

    /// Rows of `matrix` in a buffer that has room for them as floats, without gaps.
    static ProductRows of(const Matrix& matrix, float* buffer);
    /// The n values of a row from column `first` on: where they lie, or widened into `room` [n].
    const float* load(const VectorVariant& vector, size_t row, size_t first, size_t n,
                      float* room) const;
};

/// One matrix of a product: out[row][n] for input rows first_row .. first_row + n_rows - 1.
/// Shapes: out [n_rows, matrix.n_rows].
struct LinearJob {
    const Matrix* matrix;
    ProductRows out;
    size_t first_row;
    size_t n_rows;
};

/// Is shown products right after they were computed: for calibration.
struct ProductObserver {
    /// `in` holds the input in the matrix's form: floats only where the family is in_float.
    void (*take)(void* context, const LinearJob& job, const Activations& in);
    void* context;
};

/// Most jobs of one call.
constexpr size_t kMaxLinearJobs = 256;

/// Computes out = x W^T for each job, all in one parallel region; the matrices are users of the
/// input. Aliasing: outputs must not overlap the input. Errors: none; at most kMaxLinearJobs jobs.
void linear(const Compute& compute, std::span<const LinearJob> jobs,
            const LinearInput& input) noexcept;

/// One matrix, m rows.
void linear(const Compute& compute, const Matrix& matrix, const LinearInput& input,
            const ProductRows& out, size_t m) noexcept;

/// The same for input rows that exist already as floats: x [m, k], x_stride in elements. The
/// matrices want the same form of input.
void linear(const Compute& compute, std::span<const LinearJob> jobs, const float* x,
            size_t x_stride, size_t m, size_t k) noexcept;

/// One matrix, all rows, everything contiguous.
void linear(const Compute& compute, const Matrix& matrix, const float* x, float* out,
            size_t m) noexcept;

}  // namespace gemlet
