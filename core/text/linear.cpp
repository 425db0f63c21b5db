// Weight rows are cut into units of 16, units of all jobs are laid end to end, and workers claim
// runs of units sized so that a run is worth a visit to the shared counter but leaves several per
// worker.
#include "core/text/linear.h"

#include <algorithm>

namespace gemlet {
namespace {

constexpr size_t kUnitRows = 16;
constexpr size_t kRunBytes = size_t{64} << 10U;  // weight bytes of a run: far above a claim's cost
constexpr size_t kRunsPerWorker = 4;

enum class Family : uint8_t { in_float, row_integer, block };

/// The form in which a matrix wants its activations.
struct Form {
    Family family;
    WeightType streams;  // row integers: decides how columns are dealt to streams
    float input_scale;

    bool operator==(const Form& other) const = default;
};

Form form_of(const Matrix& matrix, bool float_activations) {
    if (matrix.row_scale != nullptr) {
        return {Family::row_integer, matrix.type, matrix.input_scale};
    }
    const bool block = weight_type_info(matrix.type).is_block && !float_activations;
    return {block ? Family::block : Family::in_float, WeightType::f32, 0};
}

size_t align_up(size_t bytes) { return (bytes + kPlanAlign - 1) / kPlanAlign * kPlanAlign; }

/// Activations of one form, wherever they lie.
struct Activations {
    Form form{};
    const float* x = nullptr;
    size_t x_stride = 0;
    RowActivations row{};
    BlockActivations block{};
};

RowActivations lay_out_row(uint8_t* memory, WeightType type, float input_scale, size_t m,
                           size_t k) {
    RowActivations out{};
    out.n_limbs = input_scale > 0 ? 1 : kFixedPointLimbs;
    out.stream_bytes = row_stream_bytes(type, k);
    const size_t code_bytes = m * out.n_limbs * row_streams(type) * out.stream_bytes;
    out.codes = reinterpret_cast<int8_t*>(memory);
    memory += align_up(code_bytes);
    out.sums = reinterpret_cast<int32_t*>(memory);
    memory += align_up(m * out.n_limbs * sizeof(int32_t));
    out.scale = reinterpret_cast<float*>(memory);
    return out;
}

BlockActivations lay_out_block(uint8_t* memory, size_t m, size_t k) {
    BlockActivations out{};
    out.codes = reinterpret_cast<int8_t*>(memory);
    memory += align_up(m * k);
    out.scale = reinterpret_cast<float*>(memory);
    memory += align_up(m * (k / kBlockGroup) * sizeof(float));
    out.sums = reinterpret_cast<int16_t*>(memory);
    return out;
}

/// The same activations from a later row on.
RowActivations from_row(RowActivations x, WeightType type, size_t row) {
    x.codes += row * x.n_limbs * row_streams(type) * x.stream_bytes;
    x.sums += row * x.n_limbs;
    x.scale += row;
    return x;
}

BlockActivations from_row(BlockActivations x, size_t k, size_t row) {
    x.codes += row * k;
    x.scale += row * (k / kBlockGroup);
    x.sums += row * (k / kBlockSum);
    return x;
}

Activations quantise(const Compute& compute, const Form& form, const float* x, size_t x_stride,
                     size_t m, size_t k) {
    Activations out;
    out.form = form;
    out.x = x;
    out.x_stride = x_stride;
    uint8_t* memory = compute.workspace.packed;
    if (form.family == Family::row_integer) {
        out.row = lay_out_row(memory, form.streams, form.input_scale, m, k);
        for_rows(compute, m, [&](size_t row, size_t) {
            compute.kernels.matmul_row->pack({x + row * x_stride, x_stride, 1, k, form.streams,
                                              form.input_scale,
                                              from_row(out.row, form.streams, row)});
        });
    } else if (form.family == Family::block) {
        out.block = lay_out_block(memory, m, k);
        for_rows(compute, m, [&](size_t row, size_t) {
            compute.kernels.matmul_block->pack(
                {x + row * x_stride, x_stride, 1, k, from_row(out.block, k, row)});
        });
    }
    return out;
}

void run_rows(const Compute& compute, const Activations& in, const LinearJob& job, size_t n_begin,
              size_t n_end, size_t worker) {
    const Matrix& w = *job.matrix;
    uint8_t* scratch = compute.workspace.scratch_of(worker);
    const size_t k = w.n_cols;
    switch (in.form.family) {
        case Family::in_float:
            compute.kernels.matmul_float->run({w.data, w.row_stride_bytes, w.type,
                                               in.x + job.first_row * in.x_stride, in.x_stride,
                                               job.out, job.out_stride, job.n_rows, n_begin, n_end,
                                               k, reinterpret_cast<float*>(scratch)});
            return;
        case Family::row_integer:
            compute.kernels.matmul_row->run({w.data, w.row_stride_bytes, w.type, w.row_scale,
                                             from_row(in.row, in.form.streams, job.first_row),
                                             w.output_scale, job.out, job.out_stride, job.n_rows,
                                             n_begin, n_end, k});
            return;
        case Family::block:
            compute.kernels.matmul_block->run(
                {w.data, w.row_stride_bytes, w.type, from_row(in.block, k, job.first_row), job.out,
                 job.out_stride, job.n_rows, n_begin, n_end, k, scratch});
            return;
    }
}

size_t units_of(const LinearJob& job) { return (job.matrix->n_rows + kUnitRows - 1) / kUnitRows; }

/// Runs jobs that share their activations, all units of all jobs in one parallel region.
void run_jobs(const Compute& compute, const Activations& in, std::span<const LinearJob> jobs) {
    size_t n_units = 0;
    for (const LinearJob& job : jobs) n_units += units_of(job);
    const size_t unit_bytes = jobs[0].matrix->row_stride_bytes * kUnitRows;
    const size_t by_bytes = std::max<size_t>(1, kRunBytes / unit_bytes);
    const size_t by_share =
        std::max<size_t>(1, n_units / (kRunsPerWorker * compute.pool.n_workers()));
    compute.pool.parallel_for(
        n_units, std::min(by_bytes, by_share),
        [&](size_t begin, size_t end, size_t worker) noexcept {
            for (const LinearJob& job : jobs) {
                const size_t units = units_of(job);
                if (begin < units && end > 0) {
                    run_rows(compute, in, job, begin * kUnitRows,
                             std::min(std::min(end, units) * kUnitRows, job.matrix->n_rows),
                             worker);
                    begin = std::min(end, units);
                }
                if (end <= units) return;
                begin -= units;
                end -= units;
            }
        });
}

}  // namespace

size_t packed_activation_bytes(size_t m, size_t k) {
    const size_t padded =
        (k + 4 * kRowStreamAlign - 1) / (4 * kRowStreamAlign) * 4 * kRowStreamAlign;
    const size_t row = m * kFixedPointLimbs * (padded + sizeof(int32_t)) + m * sizeof(float);
    const size_t block =
        m * (padded + padded / kBlockGroup * sizeof(float) + padded / kBlockSum * sizeof(int16_t));
    return std::max(row, block) + 4 * kPlanAlign;
}

void linear(const Compute& compute, std::span<const LinearJob> jobs, const float* x,
            size_t x_stride, size_t m, size_t k) noexcept {
    const bool in_float = compute.workspace.shape.float_activations;
    while (!jobs.empty()) {
        const Form form = form_of(*jobs[0].matrix, in_float);
        size_t same = 1;
        while (same < jobs.size() && form_of(*jobs[same].matrix, in_float) == form) ++same;
        const Activations packed = quantise(compute, form, x, x_stride, m, k);
        run_jobs(compute, packed, jobs.first(same));
        jobs = jobs.subspan(same);
    }
}

void linear(const Compute& compute, const Matrix& matrix, const float* x, float* out,
            size_t m) noexcept {
    const LinearJob job{&matrix, out, matrix.n_rows, 0, m};
    linear(compute, {&job, 1}, x, matrix.n_cols, m, matrix.n_cols);
}

}  // namespace gemlet
