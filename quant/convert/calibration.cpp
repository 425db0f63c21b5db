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

/// A prompt on its way through the layers.
struct Stream {
    KvCache cache;
    std::vector<StepRow> rows;
    std::vector<float> hidden;  // [n_rows, d]
};

struct Prompt {
    CalibrationPrompt data;
    Stream stream;
    Stream exact;  // the same through the source's weights, or empty
};

/// Where the observer puts what it sees.
struct Gathering {
    const LayerWeights* layer = nullptr;
    Gather gather = Gather::nothing;
    LayerStatistics* out = nullptr;
    std::vector<float>* exact = nullptr;  // [kLayerInputs] the exact stream's inputs, or null
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

/// Adds what (exact - x)^T x is for the rows of x; `exact` becomes the difference.
void add_drift(float* exact, const float* x, size_t m, size_t stride, InputMoments& moments) {
    const size_t k = moments.k;
    moments.drift.resize(k * k);
    for (size_t row = 0; row < m; ++row) {
        for (size_t j = 0; j < k; ++j) exact[row * k + j] -= x[row * stride + j];
    }
    add_cross(exact, k, x, stride, m, k, moments.drift.data());
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
                InputMoments& moments = to.out->inputs[input];
                add_moments(x, job.n_rows, in.x_stride, k, moments);
                if (to.exact != nullptr && k <= kWidestDrift) {
                    add_drift(to.exact[input].data() + job.first_row * k, x, job.n_rows,
                              in.x_stride, moments);
                }
            }
        }
        return;
    }
}

/// Keeps the inputs of the exact stream.
void take_exact(void* context, const LinearJob& job, const Activations& in) {
    const Gathering& to = *static_cast<const Gathering*>(context);
    const size_t k = job.matrix->n_cols;
    if (in.x == nullptr || k > kWidestDrift) return;
    for (const LinearFacts& facts : kLinears) {
        const Matrix& matrix = to.layer->*facts.matrix;
        if (!matrix.present() || matrix.data != job.matrix->data) continue;
        if (first_reader(facts.linear) != facts.linear) return;
        std::vector<float>& kept = to.exact[static_cast<size_t>(facts.input)];
        const size_t end = job.first_row + job.n_rows;
        if (kept.size() < end * k) kept.resize(end * k);
        for (size_t row = job.first_row; row < end; ++row) {
            std::copy_n(in.x + row * in.x_stride, k, kept.data() + row * k);
        }
        return;
    }
}

/// Rows of the prompt at the beginning, in front of the first layer.
Status begin(const ModelConfig& config, const TextWeights& weights, const Compute& compute,
             KvType type, const CalibrationPrompt& data, Stream& stream) {
    const size_t n = data.ids.size();
    Result<KvCache> cache = KvCache::create(config, weights, {type, n, n});
    GEMLET_TRY(cache);
    stream.cache = std::move(*cache);
    stream.rows.resize(n);
    stream.hidden.resize(n * config.d_model);
    for (size_t i = 0; i < n; ++i) {
        StepRow& row = stream.rows[i];
        row.cache = &stream.cache;
        row.position = static_cast<int32_t>(i);
        row.token = data.ids[i];
        row.wanted = true;
        const int32_t soft = data.soft_at.empty() ? -1 : data.soft_at[i];
        if (soft >= 0) row.soft = data.soft.data() + static_cast<size_t>(soft) * config.d_model;
    }
    embed_rows(compute, weights, stream.rows, config.d_model, stream.hidden.data());
    return {};
}

}  // namespace

size_t rows_of(const std::vector<CalibrationPrompt>& prompts) {
    size_t n = 0;
    for (const CalibrationPrompt& prompt : prompts) {
        n += std::min(prompt.ids.size(), kCalibrationRows);
    }
    return n;
}

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
    const TextWeights* exact = nullptr;
    size_t n_exact_layers = 0;  // that the exact streams are behind

    Status begin_prompts();
    Status run(size_t layer, Gathering* gathering);
    void run_exact(size_t layer, Gathering* gathering, Prompt& prompt);
    void gather_kv(size_t layer, LayerStatistics& out);
    void final_norm(const std::vector<float>& hidden, std::vector<float>& normed) const;
};

CalibrationRunner::CalibrationRunner(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
CalibrationRunner::~CalibrationRunner() = default;

Result<std::unique_ptr<CalibrationRunner>> CalibrationRunner::create(
    const ModelConfig& config, TextWeights& weights, ThreadPool& pool,
    std::vector<CalibrationPrompt> prompts, const TextWeights* exact) {
    auto parts = std::make_unique<Parts>(Parts{config,
                                               weights,
                                               pool,
                                               make_rotary_tables(config),
                                               select_kernels(detect_isas()),
                                               Workspace{},
                                               {}});
    parts->exact = exact;
    size_t longest = 1;
    for (CalibrationPrompt& data : prompts) {
        if (data.ids.empty()) continue;
        data.ids.resize(std::min(data.ids.size(), kCalibrationRows));
        longest = std::max(longest, data.ids.size());
        parts->prompts.push_back({std::move(data), {}, {}});
    }
    Result<Workspace> workspace = Workspace::create(config, {.max_rows = longest,
                                                             .max_wanted = longest,
                                                             .n_workers = pool.n_workers(),
                                                             .context = longest,
                                                             .float_activations = true});
    GEMLET_TRY(workspace);
    parts->workspace = std::move(*workspace);
    GEMLET_TRY(parts->begin_prompts());
    return std::unique_ptr<CalibrationRunner>(new CalibrationRunner(std::move(parts)));
}

Status CalibrationRunner::Parts::begin_prompts() {
    const Compute compute{kernels, pool, workspace};
    for (Prompt& prompt : prompts) {
        GEMLET_TRY(begin(config, weights, compute, KvType::f32, prompt.data, prompt.stream));
        if (exact == nullptr) continue;
        GEMLET_TRY(begin(config, *exact, compute, KvType::f16, prompt.data, prompt.exact));
    }
    return {};
}

/// Takes the prompt's exact stream through a layer for good; it is run once.
void CalibrationRunner::Parts::run_exact(size_t layer, Gathering* gathering, Prompt& prompt) {
    const ProductObserver observer{take_exact, gathering};
    const bool is_kept = gathering != nullptr && gathering->exact != nullptr;
    const Compute compute{kernels, pool, workspace, is_kept ? &observer : nullptr};
    std::ranges::copy(prompt.exact.hidden, workspace.hidden);
    forward_layer(compute, {config, *exact, rotary}, prompt.exact.rows, layer);
    std::copy_n(workspace.hidden, prompt.exact.hidden.size(), prompt.exact.hidden.begin());
}

Status CalibrationRunner::Parts::run(size_t layer, Gathering* gathering) {
    const ProductObserver observer{take_product, gathering};
    const Compute compute{kernels, pool, workspace, gathering != nullptr ? &observer : nullptr};
    const TextModel model{config, weights, rotary};
    const bool with_exact = exact != nullptr && n_exact_layers == layer;
    for (Prompt& prompt : prompts) {
        if (cancel != nullptr && *cancel) return {StatusCode::cancelled, "stopped"};
        if (with_exact) run_exact(layer, gathering, prompt);
        std::ranges::copy(prompt.stream.hidden, workspace.hidden);
        forward_layer(compute, model, prompt.stream.rows, layer);
        if (gathering == nullptr) {
            std::copy_n(workspace.hidden, prompt.stream.hidden.size(),
                        prompt.stream.hidden.begin());
        }
    }
    if (with_exact) ++n_exact_layers;
    return {};
}

void CalibrationRunner::Parts::gather_kv(size_t layer, LayerStatistics& out) {
    if (!config.layers[layer].owns_kv) return;
    for (const Prompt& prompt : prompts) {
        const KvLayer& kv = prompt.stream.cache.layer(layer);
        const size_t n =
            std::min(prompt.stream.rows.size(), kv.n_slots) * kv.n_kv_heads * kv.head_dim;
        const auto* keys = reinterpret_cast<const float*>(kv.k);
        const auto* values = reinterpret_cast<const float*>(kv.v);
        out.largest_key = std::max(out.largest_key, largest_magnitude(keys, n));
        out.largest_value = std::max(out.largest_value, largest_magnitude(values, n));
    }
}

Status CalibrationRunner::observe(size_t layer, Gather gather, LayerStatistics& out) {
    std::vector<float> exact[kLayerInputs];
    const bool with_exact = parts_->exact != nullptr && parts_->n_exact_layers == layer;
    Gathering gathering{&parts_->weights.layers[layer], gather, &out,
                        with_exact && gather == Gather::moments ? exact : nullptr};
    GEMLET_TRY(parts_->run(layer, &gathering));
    parts_->gather_kv(layer, out);
    return {};
}

Status CalibrationRunner::advance(size_t layer) { return parts_->run(layer, nullptr); }

void CalibrationRunner::Parts::final_norm(const std::vector<float>& hidden,
                                          std::vector<float>& normed) const {
    const size_t d = config.d_model;
    normed.resize(hidden.size());
    for (size_t at = 0; at < hidden.size(); at += d) {
        kernels.vector->rms_norm(hidden.data() + at, weights.final_norm, normed.data() + at, d,
                                 config.norm_eps);
    }
}

Status CalibrationRunner::observe_head(Gather gather, InputMoments& moments,
                                       std::vector<float>& squares) {
    const size_t d = parts_->config.d_model;
    std::vector<float> normed;
    std::vector<float> exact;
    for (const Prompt& prompt : parts_->prompts) {
        const size_t n = prompt.stream.rows.size();
        parts_->final_norm(prompt.stream.hidden, normed);
        add_squares(normed.data(), n, d, d, squares);
        if (gather != Gather::moments) continue;
        add_moments(normed.data(), n, d, d, moments);
        if (parts_->exact == nullptr || d > kWidestDrift) continue;
        parts_->final_norm(prompt.exact.hidden, exact);
        add_drift(exact.data(), normed.data(), n, d, moments);
    }
    return {};
}

void CalibrationRunner::set_cancel(const std::atomic<bool>* cancel) { parts_->cancel = cancel; }

}  // namespace gemlet
