// Work is cut into rectangles of kBlockColumns weight rows and, where that leaves too few for the
// workers, of some of the input rows. Float weights are packed once per rectangle, so a rectangle
// keeps at least kLeastRows input rows.
#include "core/tower/tower_linear.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/linear/packed_rows.h"
#include "quant/formats/dequantize.h"

namespace gemlet {
namespace {

constexpr size_t kBlockColumns = 64;
constexpr size_t kLeastRows = 240;  // a multiple of every variant's tile_rows
constexpr size_t kBlocksPerWorker = 4;
// Integer kernels read all packed rows for each few weight rows: as many as stay in the
// second-level cache.
constexpr size_t kIntegerBytes = size_t{256} << 10U;
constexpr size_t kRowUnit = 48;

/// The form in which a product wants its inputs.
struct Form {
    Family family;
    WeightType streams;
    float input_scale;
    bool dynamic_rows;
    float low;
    float high;

    bool operator==(const Form& other) const = default;
    bool clamps() const { return std::isfinite(low) || std::isfinite(high); }
};

Form form_of(const TowerCompute& compute, const TowerLinear& linear) {
    const Matrix& matrix = linear.matrix;
    Form form{Family::in_float, WeightType::f32, 0, false, linear.input_min, linear.input_max};
    if (matrix.row_scale != nullptr) {
        form.family = Family::row_integer;
        form.streams = matrix.type;
        form.input_scale = matrix.input_scale;
        form.dynamic_rows = linear.dynamic_rows;
    } else if (weight_type_info(matrix.type).is_block && !compute.blocks_in_float) {
        form.family = Family::block;
    }
    return form;
}

/// Inputs in a form, wherever they lie.
struct Inputs {
    Form form{};
    const float* tiles = nullptr;
    RowActivations row{};
    BlockActivations block{};
};

/// A clamped copy of a row in the worker's scratch, or the row itself.
const float* clamped(const TowerCompute& compute, const Form& form, const float* row, size_t k,
                     size_t worker) {
    if (!form.clamps()) return row;
    auto* out = reinterpret_cast<float*>(compute.scratch_of(worker));
    for (size_t i = 0; i < k; ++i) out[i] = std::min(std::max(row[i], form.low), form.high);
    return out;
}

void pack_tiles(const TowerCompute& compute, const Form& form, const float* x, size_t x_stride,
                size_t m, size_t k) {
    const MatmulFloatVariant& kernel = *compute.kernels.matmul_float;
    const size_t n_tiles = (m + kernel.tile_rows - 1) / kernel.tile_rows;
    auto* tiles = reinterpret_cast<float*>(compute.packed);
    compute.pool.parallel_for(n_tiles, 2, [&](size_t begin, size_t end, size_t) noexcept {
        const size_t first = begin * kernel.tile_rows;
        kernel.pack({x + first * x_stride, x_stride, std::min(end * kernel.tile_rows, m) - first, k,
                     form.low, form.high, tiles + begin * packed_tile_floats(kernel, k)});
    });
}

Inputs pack(const TowerCompute& compute, const Form& form, const float* x, size_t x_stride,
            size_t m, size_t k) {
    Inputs out;
    out.form = form;
    Packing packing(compute.packed);
    switch (form.family) {
        case Family::in_float:
            out.tiles = reinterpret_cast<const float*>(compute.packed);
            pack_tiles(compute, form, x, x_stride, m, k);
            break;
        case Family::row_integer:
            out.row = lay_out_rows(packing, form.streams,
                                   form.dynamic_rows || form.input_scale > 0 ? 1 : kFixedPointLimbs,
                                   m, k);
            tower_rows(compute, m, [&](size_t row, size_t worker) {
                const float* in = clamped(compute, form, x + row * x_stride, k, worker);
                float scale = form.input_scale;
                if (form.dynamic_rows) {
                    const float largest = compute.kernels.vector->max_abs(in, k);
                    scale = largest > 0 && std::isfinite(largest) ? largest / 127.0F : 1.0F;
                }
                compute.kernels.matmul_row->pack(
                    {in, k, 1, k, form.streams, scale, from_row(out.row, form.streams, row)});
            });
            break;
        case Family::block:
            out.block = lay_out_blocks(packing, m, k);
            tower_rows(compute, m, [&](size_t row, size_t worker) {
                const float* in = clamped(compute, form, x + row * x_stride, k, worker);
                compute.kernels.matmul_block->pack({in, k, 1, k, from_row(out.block, k, row)});
            });
            break;
    }
    return out;
}

struct Rectangle {
    size_t m_begin;
    size_t m_end;
    size_t n_begin;
    size_t n_end;
};

void clamp_outputs(const TowerJob& job, const Rectangle& part) {
    const TowerLinear& linear = *job.linear;
    if (!std::isfinite(linear.output_min) && !std::isfinite(linear.output_max)) return;
    for (size_t row = part.m_begin; row < part.m_end; ++row) {
        float* out = job.out + row * job.out_stride;
        for (size_t n = part.n_begin; n < part.n_end; ++n) {
            out[n] = std::min(std::max(out[n], linear.output_min), linear.output_max);
        }
    }
}

void run_part(const TowerCompute& compute, const Inputs& in, const TowerJob& job,
              const Rectangle& part, size_t worker) {
    const Matrix& w = job.linear->matrix;
    const size_t k = w.n_cols;
    const size_t m = part.m_end - part.m_begin;
    float* out = job.out + part.m_begin * job.out_stride;
    uint8_t* scratch = compute.scratch_of(worker);
    switch (in.form.family) {
        case Family::in_float: {
            const MatmulFloatVariant& kernel = *compute.kernels.matmul_float;
            const float* tiles =
                in.tiles + part.m_begin / kernel.tile_rows * packed_tile_floats(kernel, k);
            kernel.run_packed({w.data, w.row_stride_bytes, w.type, tiles, out, job.out_stride, m,
                               part.n_begin, part.n_end, k, job.linear->output_min,
                               job.linear->output_max, reinterpret_cast<float*>(scratch)});
            return;
        }
        case Family::row_integer:
            compute.kernels.matmul_row->run({w.data, w.row_stride_bytes, w.type, w.row_scale,
                                             from_row(in.row, in.form.streams, part.m_begin),
                                             w.output_scale, out, job.out_stride, m, part.n_begin,
                                             part.n_end, k});
            break;
        case Family::block:
            compute.kernels.matmul_block->run(
                {w.data, w.row_stride_bytes, w.type, from_row(in.block, k, part.m_begin), out,
                 job.out_stride, m, part.n_begin, part.n_end, k, scratch});
            break;
    }
    clamp_outputs(job, part);
}

/// Input rows of a rectangle.
size_t rows_at_once(const TowerCompute& compute, const Inputs& in, const Matrix& w, size_t m) {
    if (in.form.family != Family::in_float) {
        return std::max(kRowUnit, kIntegerBytes / w.n_cols / kRowUnit * kRowUnit);
    }
    const size_t n_blocks = (w.n_rows + kBlockColumns - 1) / kBlockColumns;
    const size_t wanted = kBlocksPerWorker * compute.pool.n_workers();
    const size_t splits = (wanted + n_blocks - 1) / n_blocks;
    const size_t rows = (m + splits - 1) / splits;
    return (std::max(rows, kLeastRows) + kRowUnit * 5 - 1) / (kRowUnit * 5) * (kRowUnit * 5);
}

void run_job(const TowerCompute& compute, const Inputs& in, const TowerJob& job, size_t m) {
    const Matrix& w = job.linear->matrix;
    const size_t n_blocks = (w.n_rows + kBlockColumns - 1) / kBlockColumns;
    const size_t rows = rows_at_once(compute, in, w, m);
    const size_t splits = (m + rows - 1) / rows;
    compute.pool.parallel_for(
        n_blocks * splits, 1, [&](size_t begin, size_t end, size_t worker) noexcept {
            for (size_t i = begin; i < end; ++i) {
                const size_t row = i / n_blocks * rows;
                const size_t column = i % n_blocks * kBlockColumns;
                const Rectangle part{row, std::min(row + rows, m), column,
                                     std::min(column + kBlockColumns, w.n_rows)};
                run_part(compute, in, job, part, worker);
            }
        });
}

}  // namespace

void tower_linear(const TowerCompute& compute, std::span<const TowerJob> jobs, const float* x,
                  size_t x_stride, size_t m) noexcept {
    Inputs packed;
    for (size_t i = 0; i < jobs.size(); ++i) {
        const TowerLinear& linear = *jobs[i].linear;
        const Form form = form_of(compute, linear);
        if (i == 0 || form != packed.form) {
            packed = pack(compute, form, x, x_stride, m, linear.matrix.n_cols);
        }
        run_job(compute, packed, jobs[i], m);
    }
}

void tower_linear(const TowerCompute& compute, const TowerLinear& linear, const float* x,
                  float* out, size_t m) noexcept {
    const TowerJob job{&linear, out, linear.matrix.n_rows};
    tower_linear(compute, {&job, 1}, x, linear.matrix.n_cols, m);
}

size_t tower_packed_bytes(const Kernels& kernels, size_t m, size_t k) {
    const size_t tile_rows = kernels.matmul_float->tile_rows;
    const size_t in_float = (m + tile_rows - 1) / tile_rows *
                            packed_tile_floats(*kernels.matmul_float, k) * sizeof(float);
    return std::max(in_float, packed_row_bytes(m, k));
}

size_t tower_scratch_bytes(const Kernels& kernels, size_t k) {
    const size_t in_float = packed_scratch_floats(*kernels.matmul_float, k) * sizeof(float);
    return align_up(std::max({in_float, k * sizeof(float), matmul_block_scratch_bytes(k)}));
}

Matrix quantise_rows(const Matrix& matrix, uint8_t* codes, float* scales, float* scratch) {
    Matrix out{codes, WeightType::i8r, matrix.n_rows, matrix.n_cols, matrix.n_cols};
    out.row_scale = reinterpret_cast<const uint8_t*>(scales);
    for (size_t row = 0; row < matrix.n_rows; ++row) {
        dequantize_row(matrix.type, matrix.data + row * matrix.row_stride_bytes, matrix.n_cols,
                       scratch);
        float largest = 0;
        for (size_t i = 0; i < matrix.n_cols; ++i)
            largest = std::max(largest, std::abs(scratch[i]));
        const float scale = largest > 0 && std::isfinite(largest) ? largest / 127.0F : 1.0F;
        scales[row] = scale;
        for (size_t i = 0; i < matrix.n_cols; ++i) {
            const float code = std::nearbyint(scratch[i] / scale);
            // Written so that NaN becomes a code, too.
            const float bounded = code > -127.0F ? std::min(code, 127.0F) : -127.0F;
            codes[row * matrix.n_cols + i] = static_cast<uint8_t>(static_cast<int8_t>(bounded));
        }
    }
    return out;
}

}  // namespace gemlet
