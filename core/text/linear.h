// Matrix products of the decoder: quantises the activations as the weights want them, picks the
// kernel family by weight type, and splits the weight rows among the workers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/model/weights.h"
#include "core/text/workspace.h"
#include "core/threads/thread_pool.h"
#include "kernels/kernels.h"

namespace gemlet {

/// What every product needs: who computes, and where activations are quantised to.
struct Compute {
    const Kernels& kernels;
    ThreadPool& pool;
    Workspace& workspace;
};

/// One matrix of a product: out[row][n] for input rows first_row .. first_row + n_rows - 1.
/// Shapes: out [n_rows, matrix.n_rows] with out_stride elements between rows.
struct LinearJob {
    const Matrix* matrix;
    float* out;
    size_t out_stride;
    size_t first_row;
    size_t n_rows;
};

/// Most jobs of one call.
constexpr size_t kMaxLinearJobs = 256;

/// Computes out = x W^T for each job; all jobs read the same x [m, k], x_stride in elements. Jobs
/// that want the activations in the same form share one quantisation and one parallel region.
/// Aliasing: outputs must not overlap x. Errors: none; at most kMaxLinearJobs jobs.
void linear(const Compute& compute, std::span<const LinearJob> jobs, const float* x,
            size_t x_stride, size_t m, size_t k) noexcept;

/// The usual case: one matrix, all rows, outputs contiguous.
void linear(const Compute& compute, const Matrix& matrix, const float* x, float* out,
            size_t m) noexcept;

/// Most bytes that m quantised activation rows of k columns take, whatever the weights.
size_t packed_activation_bytes(size_t m, size_t k);

/// Calls body(row, worker) for rows 0 .. n_rows - 1, in the caller when there are few.
template <class Body>
void for_rows(const Compute& compute, size_t n_rows, Body&& body) noexcept {
    constexpr size_t kRowsAtOnce = 4;
    compute.pool.parallel_for(n_rows, kRowsAtOnce,
                              [&body](size_t begin, size_t end, size_t worker) noexcept {
                                  for (size_t row = begin; row < end; ++row) body(row, worker);
                              });
}

}  // namespace gemlet
