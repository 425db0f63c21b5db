// Every (row, expert) pair becomes a row of its own, sorted by expert, so that an expert's weights
// are read once for all rows that chose it, and decode (8 pairs) and prefill (thousands) run the
// same code. The sum over a row's experts is taken in the order of falling probability, whatever
// else is in the batch.
#include "core/text/experts.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace gemlet {
namespace {

/// Picks the n_used largest probabilities of each row (ties: the lower index) and their gains.
void route(const Compute& compute, const ModelConfig& config, const LayerWeights& layer,
           const float* residual, size_t n_rows) {
    const size_t d = config.d_model;
    const size_t n_experts = config.n_experts;
    const size_t n_used = config.n_experts_used;
    Workspace& ws = compute.workspace;
    const VectorVariant& vector = *compute.kernels.vector;
    const float scale = 1.0F / std::sqrt(static_cast<float>(d));
    for_rows(compute, n_rows, [&](size_t row, size_t) {
        float* normed = ws.normed + row * d;
        vector.rms_norm(residual + row * d, layer.router_scale, normed, d, config.norm_eps);
        vector.scale(normed, normed, d, scale);
    });
    linear(compute, layer.router, ws.normed, ws.router, n_rows);  // [n_rows, experts]
    for_rows(compute, n_rows, [&](size_t row, size_t) {
        float* p = ws.router + row * n_experts;
        const float total = vector.softmax_exp(p, n_experts);
        int32_t* picked = ws.pair_expert + row * n_used;
        float* gain = ws.pair_gain + row * n_used;
        float sum = 0;
        for (size_t i = 0; i < n_used; ++i) {
            const float* best = std::max_element(p, p + n_experts);
            picked[i] = static_cast<int32_t>(best - p);
            gain[i] = *best / total;
            sum += gain[i];
            p[picked[i]] = -1;  // below every probability: not picked again
        }
        for (size_t i = 0; i < n_used; ++i) {
            gain[i] = gain[i] / sum * layer.expert_scale[picked[i]];
        }
    });
}

/// Counting sort of the pairs by expert: pair_at[pair] is its place, expert_first[e] the first of
/// e.
void sort_pairs(const ModelConfig& config, Workspace& ws, size_t n_pairs) {
    int32_t* first = ws.expert_first;
    std::fill_n(first, config.n_experts + 1, 0);
    for (size_t pair = 0; pair < n_pairs; ++pair) ++first[ws.pair_expert[pair] + 1];
    for (size_t e = 0; e < config.n_experts; ++e) first[e + 1] += first[e];
    for (size_t pair = 0; pair < n_pairs; ++pair) {
        ws.pair_at[pair] = first[ws.pair_expert[pair]]++;
    }
    for (size_t e = config.n_experts; e > 0; --e) first[e] = first[e - 1];
    first[0] = 0;
}

/// One matrix of an expert stack.
struct ExpertMatrix {
    const Matrix* stack;
    size_t n_rows;  // of one expert
    float* out;
    size_t out_stride;
};

/// Multiplies each expert's pairs with its matrix, in groups that fit one call.
void run_stack(const Compute& compute, const ModelConfig& config, const ExpertMatrix& what,
               const float* x, size_t x_stride, size_t n_pairs) {
    constexpr size_t kAtOnce = 64;
    const int32_t* first = compute.workspace.expert_first;
    std::array<Matrix, kAtOnce> parts;
    std::array<LinearJob, kAtOnce> jobs{};
    size_t n_jobs = 0;
    const auto flush = [&] {
        if (n_jobs == 0) return;
        linear(compute, std::span(jobs.data(), n_jobs), x, x_stride, n_pairs, what.stack->n_cols);
        n_jobs = 0;
    };
    for (size_t e = 0; e < config.n_experts; ++e) {
        const auto begin = static_cast<size_t>(first[e]);
        const auto end = static_cast<size_t>(first[e + 1]);
        if (begin == end) continue;
        parts[n_jobs] = what.stack->rows(e * what.n_rows, what.n_rows);
        jobs[n_jobs] = {&parts[n_jobs],
                        {.values = what.out + begin * what.out_stride, .stride = what.out_stride},
                        begin,
                        end - begin};
        if (++n_jobs == kAtOnce) flush();
    }
    flush();
}

void gather_inputs(const Compute& compute, const ModelConfig& config, const LayerWeights& layer,
                   const float* residual, size_t n_rows) {
    const size_t d = config.d_model;
    const size_t n_used = config.n_experts_used;
    Workspace& ws = compute.workspace;
    for_rows(compute, n_rows, [&](size_t row, size_t) {
        float* normed = ws.normed + row * d;
        compute.kernels.vector->rms_norm(residual + row * d, layer.pre_expert_norm, normed, d,
                                         config.norm_eps);
        for (size_t i = 0; i < n_used; ++i) {
            const auto at = static_cast<size_t>(ws.pair_at[row * n_used + i]);
            std::copy_n(normed, d, ws.pair_input + at * d);
        }
    });
}

}  // namespace

void run_experts(const Compute& compute, const ModelConfig& config, const LayerWeights& layer,
                 const float* residual, size_t n_rows, float* out) noexcept {
    Workspace& ws = compute.workspace;
    const VectorVariant& vector = *compute.kernels.vector;
    const size_t d = config.d_model;
    const size_t width = config.expert_width;
    const size_t n_used = config.n_experts_used;
    const size_t n_pairs = n_rows * n_used;
    route(compute, config, layer, residual, n_rows);
    sort_pairs(config, ws, n_pairs);
    gather_inputs(compute, config, layer, residual, n_rows);  // pair_input [n_pairs, d]
    if (layer.experts_fused) {
        run_stack(compute, config, {&layer.expert_gate, 2 * width, ws.pair_gate, 2 * width},
                  ws.pair_input, d, n_pairs);  // pair_gate [n_pairs, 2 * width]
    } else {
        run_stack(compute, config, {&layer.expert_gate, width, ws.pair_gate, 2 * width},
                  ws.pair_input, d, n_pairs);
        run_stack(compute, config, {&layer.expert_up, width, ws.pair_gate + width, 2 * width},
                  ws.pair_input, d, n_pairs);
    }
    for_rows(compute, n_pairs, [&](size_t pair, size_t) {
        float* gate = ws.pair_gate + pair * 2 * width;
        vector.gelu_mul(gate, gate + width, gate, width);
    });
    run_stack(compute, config, {&layer.expert_down, d, ws.pair_output, d}, ws.pair_gate, 2 * width,
              n_pairs);  // pair_output [n_pairs, d]
    for_rows(compute, n_rows, [&](size_t row, size_t) {
        float* sum = out + row * d;
        std::fill_n(sum, d, 0.0F);
        for (size_t i = 0; i < n_used; ++i) {
            const size_t pair = row * n_used + i;
            vector.axpy(ws.pair_output + static_cast<size_t>(ws.pair_at[pair]) * d, sum, d,
                        ws.pair_gain[pair]);
        }
    });
}

}  // namespace gemlet
