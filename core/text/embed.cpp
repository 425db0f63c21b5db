// The per-layer table is as large as the rest of the model; a token needs one row of it, so the
// table stays in the mapped file and only touched rows become resident. The context half of the
// per-layer input is an ordinary product with a float matrix, restricted to the layers that will
// run.
#include "core/text/embed.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/files/mapped_file.h"
#include "quant/formats/dequantize.h"

namespace gemlet {
namespace {

int32_t table_id(const StepRow& row, int32_t pad_id) {
    return row.soft != nullptr ? pad_id : row.token;
}

std::span<const uint8_t> row_span(const EmbeddingTable& table, int32_t id) {
    const Matrix& rows = table.rows;
    return {rows.data + static_cast<size_t>(id) * rows.row_stride_bytes, rows.row_stride_bytes};
}

}  // namespace

void lookup(const EmbeddingTable& table, size_t row, float* out) noexcept {
    const Matrix& rows = table.rows;
    const size_t n = rows.n_cols;
    dequantize_row(rows.type, rows.data + row * rows.row_stride_bytes, n, out);
    if (table.block_scale != nullptr) {
        const size_t block = n / table.n_blocks;
        for (size_t b = 0; b < table.n_blocks; ++b) {
            float scale = 0;
            std::memcpy(&scale, table.block_scale + (row * table.n_blocks + b) * sizeof(float),
                        sizeof scale);
            for (size_t i = b * block; i < (b + 1) * block; ++i) out[i] *= scale;
        }
    }
    for (size_t i = 0; i < n; ++i) out[i] *= table.factor;
}

void embed_rows(const Compute& compute, const TextWeights& weights, std::span<const StepRow> rows,
                size_t d_model, float* out) noexcept {
    for_rows(compute, rows.size(), [&](size_t i, size_t) {
        float* row = out + i * d_model;
        if (rows[i].soft != nullptr) {
            std::copy_n(rows[i].soft, d_model, row);
        } else {
            lookup(weights.embedding, static_cast<size_t>(rows[i].token), row);
        }
    });
}

void embed_per_layer(const Compute& compute, const ModelConfig& config, const TextWeights& weights,
                     std::span<const StepRow> rows, const float* x, size_t layer_begin,
                     size_t layer_end, float* out) noexcept {
    const size_t width = config.ple_width;
    const size_t stride = config.n_layers * width;
    const Matrix part =
        weights.ple_context.rows(layer_begin * width, (layer_end - layer_begin) * width);
    const LinearJob job{
        &part, {.values = out + layer_begin * width, .stride = stride}, 0, rows.size()};
    linear(compute, {&job, 1}, x, config.d_model, rows.size(),
           config.d_model);  // [n_rows, layers, ple]
    const float context_scale = 1.0F / std::sqrt(static_cast<float>(config.d_model));
    const float sum_scale = std::sqrt(0.5F);
    const VectorVariant& vector = *compute.kernels.vector;
    for_rows(compute, rows.size(), [&](size_t i, size_t worker) {
        auto* token = reinterpret_cast<float*>(compute.workspace.scratch_of(worker));
        lookup(weights.ple, static_cast<size_t>(table_id(rows[i], config.pad_id)), token);
        for (size_t layer = layer_begin; layer < layer_end; ++layer) {
            float* context = out + i * stride + layer * width;
            vector.scale(context, context, width, context_scale);
            vector.rms_norm(context, weights.ple_norm, context, width, config.norm_eps);
            vector.add_scale(context, token + layer * width, context, width, sum_scale);
        }
    });
}

void prefetch_per_layer(const TextWeights& weights, std::span<const StepRow> rows,
                        int32_t pad_id) noexcept {
    if (!weights.ple.rows.present()) return;
    for (const StepRow& row : rows) {
        advise(row_span(weights.ple, table_id(row, pad_id)), Access::soon);
    }
}

}  // namespace gemlet
