// Every prompt is one step of forward_layer. Its residual stream is copied into the workspace, and
// back when the pass is for good. Prompts have KV caches of their own, because layers that share
// keys and values come long after the layer that wrote them.
#include "quant/convert/calibration.h"

#include <algorithm>
#include <cmath>

#include "core/text/embed.h"
#include "core/text/forward.h"
#include "kernels/isa.h"
#include "quant/convert/linear_algebra.h"

namespace gemlet {
namespace {

struct LinearFacts {
    LayerLinear linear;
    LayerInput input;
    Matrix LayerWeights::*matrix;
    const char* name;
};

constexpr LinearFacts kLinears[] = {
    {LayerLinear::q, LayerInput::attention, &LayerWeights::q, "self_attn.q_proj"},
    {LayerLinear::k, LayerInput::attention, &LayerWeights::k, "self_attn.k_proj"},
    {LayerLinear::v, LayerInput::attention, &LayerWeights::v, "self_attn.v_proj"},
    {LayerLinear::o, LayerInput::output, &LayerWeights::o, "self_attn.o_proj"},
    {LayerLinear::gate, LayerInput::feed_forward, &LayerWeights::gate, "mlp.gate_proj"},
    {LayerLinear::up, LayerInput::feed_forward, &LayerWeights::up, "mlp.up_proj"},
    {LayerLinear::down, LayerInput::down, &LayerWeights::down, "mlp.down_proj"},
    {LayerLinear::ple_gate, LayerInput::ple_gate, &LayerWeights::ple_gate, "per_layer_input_gate"},
    {LayerLinear::ple_projection, LayerInput::ple_projection, &LayerWeights::ple_projection,
     "per_layer_projection"},
};

struct Prompt {
    CalibrationPrompt data;
    KvCache cache;
    std::vector<StepRow> rows;
    std::vector<float> hidden;  // [n_rows, d]
};

/// Where the observer puts what it sees.
struct Gathering {
    const LayerWeights* layer = nullptr;
    Gather gather = Gather::nothing;
    LayerStatistics* out = nullptr;
};

float largest_magnitude(const float* x, size_t n) {
    float largest = 0;
    for (size_t i = 0; i < n; ++i) largest = std::max(largest, std::fabs(x[i]));
    return largest;
}

void add_squares(const float* x, size_t m, size_t stride, size_t k, std::vector<float>& squares) {
    squares.resize(k);
    for (size_t row = 0; row < m; ++row) {
        for (size_t j = 0; j < k; ++j) squares[j] += x[row * stride + j] * x[row * stride + j];
    }
}

void add_moments(const float* x, size_t m, size_t stride, size_t k, InputMoments& moments) {
    if (moments.k == 0) {
        moments.k = k;
        moments.gram.resize(k * k);
    }
    add_gram(x, stride, m, k, moments.gram.data());
}

void add_range(const LinearJob& job, const float* x, size_t x_stride, bool count_input,
               LinearRange& range) {
    for (size_t row = 0; row < job.n_rows; ++row) {
        if (count_input) range.input.add(x + row * x_stride, job.matrix->n_cols);
        if (job.out.values == nullptr) continue;
        range.output.add(job.out.values + row * job.out.stride, job.matrix->n_rows);
    }
}

void take_product(void* context, const LinearJob& job, const Activations& in) {
    const Gathering& to = *static_cast<const Gathering*>(context);
    if (in.x == nullptr) return;
    const size_t k = job.matrix->n_cols;
    const float* x = in.x + job.first_row * in.x_stride;
    for (const LinearFacts& facts : kLinears) {
        const Matrix& matrix = to.layer->*facts.matrix;
        if (!matrix.present() || matrix.data != job.matrix->data) continue;
        const bool is_first = first_reader(facts.linear) == facts.linear;
        if (!to.out->ranges.empty()) {
            add_range(job, x, in.x_stride, is_first,
                      to.out->ranges[static_cast<size_t>(facts.linear)]);
        }
        // Several linears read one input: the first of them counts it.
        if (is_first) {
            const auto input = static_cast<size_t>(facts.input);
            add_squares(x, job.n_rows, in.x_stride, k, to.out->squares[input]);
            if (to.gather == Gather::moments) {
                add_moments(x, job.n_rows, in.x_stride, k, to.out->inputs[input]);
            }
        }
        return;
    }
}

Result<KvCache> make_cache(const ModelConfig& config, const TextWeights& weights, size_t n_rows) {
    return KvCache::create(config, weights, {KvType::f32, n_rows, n_rows});
}

}  // namespace

Matrix& matrix_of(LayerWeights& layer, LayerLinear linear) {
    return layer.*kLinears[static_cast<size_t>(linear)].matrix;
}

LayerInput input_of(LayerLinear linear) { return kLinears[static_cast<size_t>(linear)].input; }

LayerLinear first_reader(LayerLinear linear) {
    if (linear == LayerLinear::k || linear == LayerLinear::v) return LayerLinear::q;
    return linear == LayerLinear::up ? LayerLinear::gate : linear;
}

const char* name_of(LayerLinear linear) { return kLinears[static_cast<size_t>(linear)].name; }

struct CalibrationRunner::Parts {
    const ModelConfig& config;
    TextWeights& weights;
    ThreadPool& pool;
    RotaryTables rotary;
    Kernels kernels;
    Workspace workspace;
    std::vector<Prompt> prompts;
    const std::atomic<bool>* cancel = nullptr;

    Status run(size_t layer, Gathering* gathering);
    void gather_kv(size_t layer, LayerStatistics& out);
};

CalibrationRunner::CalibrationRunner(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
CalibrationRunner::~CalibrationRunner() = default;

Result<std::unique_ptr<CalibrationRunner>> CalibrationRunner::create(
    const ModelConfig& config, TextWeights& weights, ThreadPool& pool,
    std::vector<CalibrationPrompt> prompts) {
    auto parts = std::make_unique<Parts>(Parts{config,
                                               weights,
                                               pool,
                                               make_rotary_tables(config),
                                               select_kernels(detect_isas()),
                                               Workspace{},
                                               {}});
    size_t longest = 1;
    for (CalibrationPrompt& data : prompts) {
        Prompt prompt;
        const size_t n = std::min(data.ids.size(), kCalibrationRows);
        if (n == 0) continue;
        longest = std::max(longest, n);
        Result<KvCache> cache = make_cache(config, weights, n);
        GEMLET_TRY(cache);
        prompt.cache = std::move(*cache);
        prompt.data = std::move(data);
        prompt.rows.resize(n);
        prompt.hidden.resize(n * config.d_model);
        parts->prompts.push_back(std::move(prompt));
    }
    Result<Workspace> workspace =
        Workspace::create(config, {longest, longest, pool.n_workers(), true});
    GEMLET_TRY(workspace);
    parts->workspace = std::move(*workspace);
    const Compute compute{parts->kernels, pool, parts->workspace};
    for (Prompt& prompt : parts->prompts) {
        for (size_t i = 0; i < prompt.rows.size(); ++i) {
            StepRow& row = prompt.rows[i];
            row.cache = &prompt.cache;
            row.position = static_cast<int32_t>(i);
            row.token = prompt.data.ids[i];
            row.wanted = true;
            const int32_t soft = prompt.data.soft_at.empty() ? -1 : prompt.data.soft_at[i];
            if (soft < 0) continue;
            row.soft = prompt.data.soft.data() + static_cast<size_t>(soft) * config.d_model;
        }
        embed_rows(compute, weights, prompt.rows, config.d_model, prompt.hidden.data());
    }
    return std::unique_ptr<CalibrationRunner>(new CalibrationRunner(std::move(parts)));
}

Status CalibrationRunner::Parts::run(size_t layer, Gathering* gathering) {
    const ProductObserver observer{take_product, gathering};
    const Compute compute{kernels, pool, workspace, gathering != nullptr ? &observer : nullptr};
    const TextModel model{config, weights, rotary};
    for (Prompt& prompt : prompts) {
        if (cancel != nullptr && *cancel) return {StatusCode::cancelled, "stopped"};
        std::ranges::copy(prompt.hidden, workspace.hidden);
        forward_layer(compute, model, prompt.rows, layer);
        if (gathering == nullptr) {
            std::copy_n(workspace.hidden, prompt.hidden.size(), prompt.hidden.begin());
        }
    }
    return {};
}

void CalibrationRunner::Parts::gather_kv(size_t layer, LayerStatistics& out) {
    if (!config.layers[layer].owns_kv) return;
    for (const Prompt& prompt : prompts) {
        const KvLayer& kv = prompt.cache.layer(layer);
        const size_t n = std::min(prompt.rows.size(), kv.n_slots) * kv.n_kv_heads * kv.head_dim;
        const auto* keys = reinterpret_cast<const float*>(kv.k);
        const auto* values = reinterpret_cast<const float*>(kv.v);
        out.largest_key = std::max(out.largest_key, largest_magnitude(keys, n));
        out.largest_value = std::max(out.largest_value, largest_magnitude(values, n));
    }
}

Status CalibrationRunner::observe(size_t layer, Gather gather, LayerStatistics& out) {
    Gathering gathering{&parts_->weights.layers[layer], gather, &out};
    GEMLET_TRY(parts_->run(layer, &gathering));
    parts_->gather_kv(layer, out);
    return {};
}

Status CalibrationRunner::advance(size_t layer) { return parts_->run(layer, nullptr); }

Status CalibrationRunner::observe_head(Gather gather, InputMoments& moments,
                                       std::vector<float>& squares) {
    const size_t d = parts_->config.d_model;
    std::vector<float> normed;
    for (const Prompt& prompt : parts_->prompts) {
        normed.resize(prompt.hidden.size());
        const size_t n = prompt.rows.size();
        for (size_t row = 0; row < n; ++row) {
            parts_->kernels.vector->rms_norm(prompt.hidden.data() + row * d,
                                             parts_->weights.final_norm, normed.data() + row * d, d,
                                             parts_->config.norm_eps);
        }
        add_squares(normed.data(), n, d, d, squares);
        if (gather == Gather::moments) add_moments(normed.data(), n, d, d, moments);
    }
    return {};
}

size_t CalibrationRunner::n_rows() const {
    size_t n = 0;
    for (const Prompt& prompt : parts_->prompts) n += prompt.rows.size();
    return n;
}

void CalibrationRunner::set_cancel(const std::atomic<bool>* cancel) { parts_->cancel = cancel; }

}  // namespace gemlet
