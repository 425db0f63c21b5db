// A layer is the list of calls in run_layer. Rows whose logits nobody wants stop after the last
// layer that writes keys and values: the layers behind it only read them, so nothing later depends
// on such a row (E2B: 15 of 35 layers, E4B: 24 of 42).
#include "core/text/forward.h"

#include <algorithm>

#include "core/text/attend.h"
#include "core/text/embed.h"
#include "core/text/experts.h"

namespace gemlet {
namespace {

/// One pass through the decoder.
class Pass {
  public:
    Pass(const Compute& compute, const TextModel& model, std::span<StepRow> rows)
        : compute_(compute),
          config_(model.config),
          weights_(model.weights),
          rotary_(model.rotary),
          ws_(compute.workspace),
          vector_(*compute.kernels.vector),
          rows_(rows),
          d_(model.config.d_model) {}

    size_t run();

  private:
    void enter();
    void run_layer(size_t index);
    void attention(size_t index);
    void append_kv(size_t index);
    void feed_forward(size_t index);
    void per_layer_input(size_t index);
    void keep_wanted();
    void prepare_rotation();
    void head();

    void norm(const float* x, const float* weight, float* out);
    void add_normed(const float* x, const float* weight);
    const float* cosine(bool is_global, size_t row) const;
    const float* sine(bool is_global, size_t row) const;
    void rotate(bool is_global, size_t row, float* head, size_t head_dim);

    const Compute& compute_;
    const ModelConfig& config_;
    const TextWeights& weights_;
    const RotaryTables& rotary_;
    Workspace& ws_;
    const VectorVariant& vector_;
    std::span<StepRow> rows_;
    size_t d_;
};

/// normed rows: out[row] = rms_norm(x[row]).
void Pass::norm(const float* x, const float* weight, float* out) {
    for_rows(compute_, rows_.size(), [&](size_t row, size_t) {
        vector_.rms_norm(x + row * d_, weight, out + row * d_, d_, config_.norm_eps);
    });
}

/// Adds the normed branch to the residual stream.
void Pass::add_normed(const float* x, const float* weight) {
    for_rows(compute_, rows_.size(), [&](size_t row, size_t) {
        float* normed = ws_.normed + row * d_;
        float* hidden = ws_.hidden + row * d_;
        vector_.rms_norm(x + row * d_, weight, normed, d_, config_.norm_eps);
        vector_.add_scale(hidden, normed, hidden, d_, 1.0F);
    });
}

const float* Pass::cosine(bool is_global, size_t row) const {
    const size_t half = config_.max_head_dim() / 2;
    return ws_.cosine + ((is_global ? ws_.shape.max_rows : 0) + row) * half;
}

const float* Pass::sine(bool is_global, size_t row) const {
    return ws_.sine + (cosine(is_global, row) - ws_.cosine);
}

void Pass::prepare_rotation() {
    for_rows(compute_, rows_.size(), [&](size_t row, size_t) {
        for (const bool is_global : {false, true}) {
            const RotaryTable& table = is_global ? rotary_.global : rotary_.local;
            table.angles(rows_[row].position, const_cast<float*>(cosine(is_global, row)),
                         const_cast<float*>(sine(is_global, row)));
        }
    });
}

void Pass::rotate(bool is_global, size_t row, float* head, size_t head_dim) {
    vector_.rope(head, cosine(is_global, row), sine(is_global, row), head_dim / 2);
}

void Pass::enter() {
    prefetch_per_layer(weights_, rows_, config_.pad_id);
    embed_rows(compute_, weights_, rows_, d_, ws_.hidden);  // [n_rows, d]
    if (config_.ple_width != 0) {
        embed_per_layer(compute_, config_, weights_, rows_, ws_.hidden, 0, config_.n_owning_layers,
                        ws_.ple);  // [n_rows, layers, ple]
    }
    prepare_rotation();
}

/// Keys: norm, rotation. Values: norm without weight. Then both go to the cache.
void Pass::append_kv(size_t index) {
    const LayerConfig& shape = config_.layers[index];
    const LayerWeights& layer = weights_.layers[index];
    const size_t dim = shape.head_dim;
    const size_t width = shape.n_kv_heads * dim;
    for_rows(compute_, rows_.size(), [&](size_t row, size_t) {
        for (size_t head = 0; head < shape.n_kv_heads; ++head) {
            float* key = ws_.k + row * width + head * dim;
            float* value = ws_.v + row * width + head * dim;
            const float* raw_value = shape.k_equals_v ? key : value;
            vector_.rms_norm(raw_value, nullptr, value, dim, config_.norm_eps);
            vector_.rms_norm(key, layer.k_norm, key, dim, config_.norm_eps);
            rotate(shape.is_global, row, key, dim);
            const KvCache& cache = *rows_[row].cache;
            write_kv(vector_, cache.type(), cache.layer(index),
                     static_cast<size_t>(rows_[row].position), head, key, value);
        }
    });
}

void Pass::attention(size_t index) {
    const LayerConfig& shape = config_.layers[index];
    const LayerWeights& layer = weights_.layers[index];
    const size_t m = rows_.size();
    const size_t dim = shape.head_dim;
    const size_t q_width = config_.n_heads * dim;
    const size_t kv_width = shape.n_kv_heads * dim;
    const LinearJob jobs[] = {{&layer.q, ws_.q, q_width, 0, m},
                              {&layer.k, ws_.k, kv_width, 0, m},
                              {&layer.v, ws_.v, kv_width, 0, m}};
    const size_t n_jobs = !shape.owns_kv ? 1 : shape.k_equals_v ? 2 : 3;
    linear(compute_, std::span(jobs, n_jobs), ws_.normed, d_, m, d_);
    if (shape.owns_kv) append_kv(index);
    for_rows(compute_, m, [&](size_t row, size_t) {
        for (size_t head = 0; head < config_.n_heads; ++head) {
            float* query = ws_.q + row * q_width + head * dim;
            vector_.rms_norm(query, layer.q_norm, query, dim, config_.norm_eps);
            rotate(shape.is_global, row, query, dim);
        }
    });
    attend(compute_, config_, index, rows_, ws_.q, ws_.attended);  // [n_rows, heads * dim]
    linear(compute_, layer.o, ws_.attended, ws_.branch, m);        // [n_rows, d]
}

void Pass::feed_forward(size_t index) {
    const LayerWeights& layer = weights_.layers[index];
    const size_t m = rows_.size();
    const size_t width = config_.layers[index].ffn_width;
    const LinearJob jobs[] = {{&layer.gate, ws_.gate, width, 0, m},
                              {&layer.up, ws_.up, width, 0, m}};
    linear(compute_, jobs, ws_.normed, d_, m, d_);  // [n_rows, ffn] twice
    for_rows(compute_, m, [&](size_t row, size_t) {
        float* gate = ws_.gate + row * width;
        vector_.gelu_mul(gate, ws_.up + row * width, gate, width);
    });
    linear(compute_, layer.down, ws_.gate, ws_.branch, m);  // [n_rows, d]
    if (config_.n_experts == 0) return;
    run_experts(compute_, config_, layer, ws_.hidden, m, ws_.experts);  // [n_rows, d]
    for_rows(compute_, m, [&](size_t row, size_t) {
        float* dense = ws_.branch + row * d_;
        float* experts = ws_.experts + row * d_;
        vector_.rms_norm(dense, layer.post_dense_norm, dense, d_, config_.norm_eps);
        vector_.rms_norm(experts, layer.post_expert_norm, experts, d_, config_.norm_eps);
        vector_.add_scale(dense, experts, dense, d_, 1.0F);
    });
}

/// The gate reads the residual stream itself, without a norm.
void Pass::per_layer_input(size_t index) {
    const LayerWeights& layer = weights_.layers[index];
    const size_t width = config_.ple_width;
    const size_t stride = config_.n_layers * width;
    linear(compute_, layer.ple_gate, ws_.hidden, ws_.ple_gate, rows_.size());  // [n_rows, ple]
    for_rows(compute_, rows_.size(), [&](size_t row, size_t) {
        float* gate = ws_.ple_gate + row * width;
        vector_.gelu_mul(gate, ws_.ple + row * stride + index * width, gate, width);
    });
    linear(compute_, layer.ple_projection, ws_.ple_gate, ws_.branch, rows_.size());  // [n_rows, d]
    add_normed(ws_.branch, layer.post_ple_norm);
}

void Pass::run_layer(size_t index) {
    const LayerWeights& layer = weights_.layers[index];
    norm(ws_.hidden, layer.input_norm, ws_.normed);      // [n_rows, d]
    attention(index);                                    // branch [n_rows, d]
    add_normed(ws_.branch, layer.post_attention_norm);   // hidden [n_rows, d]
    norm(ws_.hidden, layer.pre_ffn_norm, ws_.normed);    // [n_rows, d]
    feed_forward(index);                                 // branch [n_rows, d]
    add_normed(ws_.branch, layer.post_ffn_norm);         // hidden [n_rows, d]
    if (config_.ple_width != 0) per_layer_input(index);  // hidden [n_rows, d]
    for_rows(compute_, rows_.size(), [&](size_t row, size_t) {
        float* hidden = ws_.hidden + row * d_;
        vector_.scale(hidden, hidden, d_, layer.layer_scalar);
    });
}

/// Drops the rows that are done and fetches what the others need in the layers to come.
void Pass::keep_wanted() {
    size_t kept = 0;
    for (size_t row = 0; row < rows_.size(); ++row) {
        if (!rows_[row].wanted) continue;
        rows_[kept] = rows_[row];
        if (kept != row) std::copy_n(ws_.hidden + row * d_, d_, ws_.hidden + kept * d_);
        ++kept;
    }
    rows_ = rows_.first(kept);
    if (kept == 0 || config_.n_owning_layers == config_.n_layers) return;
    prepare_rotation();
    if (config_.ple_width == 0) return;
    embed_rows(compute_, weights_, rows_, d_, ws_.normed);
    embed_per_layer(compute_, config_, weights_, rows_, ws_.normed, config_.n_owning_layers,
                    config_.n_layers, ws_.ple);
}

void Pass::head() {
    const size_t vocab = config_.vocab_size;
    norm(ws_.hidden, weights_.final_norm, ws_.normed);
    linear(compute_, weights_.head, ws_.normed, ws_.logits, rows_.size());  // [n_wanted, vocab]
    if (config_.soft_cap == 0) return;
    constexpr size_t kAtOnce = 4096;
    compute_.pool.parallel_for(
        rows_.size() * vocab, kAtOnce, [&](size_t begin, size_t end, size_t) noexcept {
            vector_.soft_cap(ws_.logits + begin, ws_.logits + begin, end - begin, config_.soft_cap);
        });
}

size_t Pass::run() {
    enter();
    for (size_t i = 0; i < config_.n_owning_layers; ++i) run_layer(i);
    keep_wanted();
    if (rows_.empty()) return 0;
    for (size_t i = config_.n_owning_layers; i < config_.n_layers; ++i) run_layer(i);
    head();
    return rows_.size();
}

}  // namespace

size_t forward(const Compute& compute, const TextModel& model, std::span<StepRow> rows) noexcept {
    return Pass(compute, model, rows).run();
}

}  // namespace gemlet
