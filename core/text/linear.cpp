// Weight rows are cut into units of 16, units of all jobs are laid end to end, and workers claim
// runs of units sized so that a run is worth a visit to the shared counter but leaves several per
// worker.
#include "core/text/linear.h"

#include <algorithm>
#include <array>

namespace gemlet {
namespace {

constexpr size_t kUnitRows = 16;
constexpr size_t kRunBytes = size_t{64} << 10U;  // weight bytes of a run: far above a claim's cost
constexpr size_t kRunsPerWorker = 4;
// With many activation rows a run is long in any case, and kernels want a few of their widest tiles
// (48 weight rows), since they read all activations once per tile.
constexpr size_t kManyRows = 12;
constexpr size_t kTileUnits = 3;
constexpr size_t kManyRowsUnits = 4 * kTileUnits;

/// A job and its input in the form its matrix wants.
struct Bound {
    const LinearJob* job;
    const Activations* in;
};

void run_rows(const Compute& compute, const Bound& bound, size_t n_begin, size_t n_end,
              size_t worker) {
    const LinearJob& job = *bound.job;
    const Activations& in = *bound.in;
    const Matrix& w = *job.matrix;
    uint8_t* scratch = compute.workspace.scratch_of(worker);
    const size_t k = w.n_cols;
    switch (in.form.family) {
        case Family::in_float:
            compute.kernels.matmul_float->run({w.data, w.row_stride_bytes, w.type,
                                               in.x + job.first_row * in.x_stride, in.x_stride,
                                               job.out.values, job.out.stride, job.n_rows, n_begin,
                                               n_end, k, reinterpret_cast<float*>(scratch)});
            return;
        case Family::row_integer:
            compute.kernels.matmul_row->run(
                {w.data, w.row_stride_bytes, w.type, w.row_scale,
                 from_row(in.row, in.form.streams, job.first_row), w.output_scale, job.out.values,
                 job.out.stride, job.n_rows, n_begin, n_end, k, job.out.codes, job.out.stride});
            return;
        case Family::block:
            compute.kernels.matmul_block->run(
                {w.data, w.row_stride_bytes, w.type, from_row(in.block, k, job.first_row),
                 job.out.values, job.out.stride, job.n_rows, n_begin, n_end, k, scratch});
            return;
    }
}

size_t units_of(const LinearJob& job) { return (job.matrix->n_rows + kUnitRows - 1) / kUnitRows; }

/// Units of a run, of n_units that the workers share.
size_t run_units(const LinearJob& job, size_t n_units, size_t n_workers) {
    const size_t by_bytes =
        std::max<size_t>(1, kRunBytes / (job.matrix->row_stride_bytes * kUnitRows));
    const size_t by_share = std::max<size_t>(1, n_units / (kRunsPerWorker * n_workers));
    if (job.n_rows < kManyRows) return std::min(by_bytes, by_share);
    const size_t units = std::min(std::max(by_bytes, kManyRowsUnits), by_share);
    return units < kTileUnits ? units : units / kTileUnits * kTileUnits;
}

/// Runs all units of all jobs in one parallel region.
void run_jobs(const Compute& compute, std::span<const Bound> jobs) {
    size_t n_units = 0;
    for (const Bound& bound : jobs) n_units += units_of(*bound.job);
    compute.pool.parallel_for(
        n_units, run_units(*jobs[0].job, n_units, compute.pool.n_workers()),
        [&](size_t begin, size_t end, size_t worker) noexcept {
            for (const Bound& bound : jobs) {
                const size_t units = units_of(*bound.job);
                if (begin < units && end > 0) {
                    run_rows(compute, bound, begin * kUnitRows,
                             std::min(std::min(end, units) * kUnitRows, bound.job->matrix->n_rows),
                             worker);
                    begin = std::min(end, units);
                }
                if (end <= units) return;
                begin -= units;
                end -= units;
            }
        });
}

/// Runs jobs whose inputs `form_of` knows.
template <class FormOf>
void bind_and_run(const Compute& compute, std::span<const LinearJob> jobs, FormOf&& form_of) {
    GEMLET_ASSERT(jobs.size() <= kMaxLinearJobs);
    if (jobs.empty()) return;
    std::array<Bound, kMaxLinearJobs> bound;
    for (size_t i = 0; i < jobs.size(); ++i) bound[i] = {&jobs[i], &form_of(*jobs[i].matrix)};
    run_jobs(compute, std::span(bound).first(jobs.size()));
    if (compute.observer == nullptr) return;
    for (const Bound& shown : std::span(bound).first(jobs.size())) {
        compute.observer->take(compute.observer->context, *shown.job, *shown.in);
    }
}

}  // namespace

ProductRows ProductRows::of(const Matrix& matrix, float* buffer) {
    ProductRows rows;
    rows.stride = matrix.n_rows;
    rows.scale = matrix.output_scale;
    if (matrix.row_scale != nullptr && matrix.output_scale > 0) {
        rows.codes = reinterpret_cast<int8_t*>(buffer);
    } else {
        rows.values = buffer;
    }
    return rows;
}

const float* ProductRows::load(const VectorVariant& vector, size_t row, size_t first, size_t n,
                               float* room) const {
    if (codes == nullptr) return values + row * stride + first;
    vector.from_i8(codes + row * stride + first, room, n, scale);
    return room;
}

void linear(const Compute& compute, std::span<const LinearJob> jobs,
            const LinearInput& input) noexcept {
    bind_and_run(compute, jobs, [&](const Matrix& matrix) -> const Activations& {
        return input.form_for(matrix);
    });
}

void linear(const Compute& compute, const Matrix& matrix, const LinearInput& input,
            const ProductRows& out, size_t m) noexcept {
    const LinearJob job{&matrix, out, 0, m};
    linear(compute, {&job, 1}, input);
}

void linear(const Compute& compute, std::span<const LinearJob> jobs, const float* x,
            size_t x_stride, size_t m, size_t k) noexcept {
    if (jobs.empty()) return;
    const InputForm form = input_form(*jobs[0].matrix, compute.workspace.shape.float_activations);
    const Activations in = quantise(compute, form, x, x_stride, m, k);
    bind_and_run(compute, jobs, [&](const Matrix&) -> const Activations& { return in; });
}

void linear(const Compute& compute, const Matrix& matrix, const float* x, float* out,
            size_t m) noexcept {
    const LinearJob job{&matrix, {.values = out, .stride = matrix.n_rows}, 0, m};
    linear(compute, {&job, 1}, x, matrix.n_cols, m, matrix.n_cols);
}

}  // namespace gemlet
