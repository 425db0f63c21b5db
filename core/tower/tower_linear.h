// Matrix products of the vision and audio encoders: many rows at once, inputs and outputs clamped
// where the model says so. Packs the inputs as the weights want them and splits the work among the
// workers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "core/model/weights.h"
#include "core/threads/thread_pool.h"
#include "core/tower/tower_pause.h"
#include "kernels/kernels.h"

namespace gemlet {

/// y = clamp(W clamp(x)); infinite bounds do nothing.
struct TowerLinear {
    Matrix matrix;
    float input_min = -std::numeric_limits<float>::infinity();
    float input_max = std::numeric_limits<float>::infinity();
    float output_min = -std::numeric_limits<float>::infinity();
    float output_max = std::numeric_limits<float>::infinity();
    bool dynamic_rows = false;  // per-row int8 made at load: each input row gets a scale of its own
};

/// Who computes, and where inputs are packed to.
struct TowerCompute {
    const Kernels& kernels;
    ThreadPool& pool;
    uint8_t* packed;              // tower_packed_bytes of the largest product, 64-byte aligned
    uint8_t* scratch;             // [n_workers, scratch_bytes], 64-byte aligned rows
    size_t scratch_bytes;         // per worker, a multiple of 64, at least tower_scratch_bytes
    bool blocks_in_float;         // block formats are multiplied in float, not with int8 inputs
    TowerPause* pause = nullptr;  // between layers; null: none

    uint8_t* scratch_of(size_t worker) const { return scratch + worker * scratch_bytes; }
};

/// One matrix of a product: out[row][n], out_stride elements between rows.
struct TowerJob {
    const TowerLinear* linear;
    float* out;
    size_t out_stride;
};

/// Computes each job from the same x [m, n_cols], x_stride in elements. Neighbouring jobs that want
/// the inputs in the same form share the packing. The bits do not depend on workers and splits.
/// Aliasing: outputs must not overlap x. Errors: none; all matrices have the same n_cols.
void tower_linear(const TowerCompute& compute, std::span<const TowerJob> jobs, const float* x,
                  size_t x_stride, size_t m) noexcept;

/// The usual case: one matrix, rows contiguous.
void tower_linear(const TowerCompute& compute, const TowerLinear& linear, const float* x,
                  float* out, size_t m) noexcept;

/// Bytes that m packed rows of k columns take, whatever the weights.
size_t tower_packed_bytes(const Kernels& kernels, size_t m, size_t k);
/// Bytes of scratch a worker needs for products of k columns.
size_t tower_scratch_bytes(const Kernels& kernels, size_t k);

/// Calls body(row, worker) for rows 0 .. n_rows - 1.
template <class Body>
void tower_rows(const TowerCompute& compute, size_t n_rows, Body&& body) noexcept {
    constexpr size_t kRowsAtOnce = 8;
    compute.pool.parallel_for(n_rows, kRowsAtOnce,
                              [&body](size_t begin, size_t end, size_t worker) noexcept {
                                  for (size_t row = begin; row < end; ++row) body(row, worker);
                              });
}

/// Quantises a float matrix to per-row int8 in codes [n_rows, n_cols] and scales [n_rows]:
/// scale = max|w| / 127 (1 for a row of zeros), code = rint(w / scale). Returns the matrix that
/// points there. scratch: n_cols floats.
Matrix quantise_rows(const Matrix& matrix, uint8_t* codes, float* scales, float* scratch);

}  // namespace gemlet
