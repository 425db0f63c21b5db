// A layer is the list of calls in run_layer. Rows whose logits nobody wants stop after the last
// layer that writes keys and values: the layers behind it only read them, so nothing later depends
// on such a row (E2B: 15 of 35 layers, E4B: 24 of 42).
#include "core/text/forward.h"

#include <algorithm>

#include "core/text/attend.h"
#include "core/text/embed.h"
#include "core/text/experts.h"
#include "core/text/head.h"

namespace gemlet {
namespace {

/// One pass through the decoder. `input_` always holds the input of the next products.
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
    void run_alone(size_t index);

  private:
    void enter();
    void run_layers(size_t begin, size_t end);
    void run_layer(size_t index, bool is_last);
    void attention(size_t index);
    void append_kv(size_t index, const ProductRows& keys, const ProductRows& values);
    void rotate_queries(size_t index, const ProductRows& queries);
    void feed_forward(size_t index);
    void add_experts(size_t index);
    void per_layer_input(size_t index);
    void keep_wanted();
    void prepare_rotation();
    void head();

    void feed(const float* norm, std::span<const Matrix* const> users);
    void activate(const ProductRows& gate, const ProductRows& up, size_t width);
    void add_branch(const float* branch_norm, float scale, const float* norm,
                    std::span<const Matrix* const> users);
    ProductRows multiply(const Matrix& matrix, float* buffer);
    void write_input(size_t row, size_t worker, const float* norm);

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
    LinearInput input_;
    ProductRows branch_;  // [n_rows, d] a branch's result before its norm
};

/// The residual stream's row, normed unless `norm` is null, becomes the row of the next input.
void Pass::write_input(size_t row, size_t worker, const float* norm) {
    float* to = input_.row(row, worker);
    const float* hidden = ws_.hidden + row * d_;
    if (norm != nullptr) {
        vector_.rms_norm(hidden, norm, to, d_, config_.norm_eps);
    } else {
        std::copy_n(hidden, d_, to);
    }
    input_.finish_row(row, worker);
}

/// Makes the residual stream the input of `users`.
void Pass::feed(const float* norm, std::span<const Matrix* const> users) {
    input_ = LinearInput(compute_, users, rows_.size());
    for_rows(compute_, rows_.size(),
             [&](size_t row, size_t worker) { write_input(row, worker, norm); });
}

/// hidden = (hidden + rms_norm(branch)) * scale, then feeds it to `users` while it is at hand; no
/// users: nothing follows.
void Pass::add_branch(const float* branch_norm, float scale, const float* norm,
                      std::span<const Matrix* const> users) {
    if (!users.empty()) input_ = LinearInput(compute_, users, rows_.size());
    for_rows(compute_, rows_.size(), [&](size_t row, size_t worker) {
        float* room = ws_.row_room(worker);
        float* hidden = ws_.hidden + row * d_;
        const float* branch = branch_.load(vector_, row, 0, d_, room);
        vector_.rms_norm(branch, branch_norm, room, d_, config_.norm_eps);
        vector_.add_scale(hidden, room, hidden, d_, scale);
        if (!users.empty()) write_input(row, worker, norm);
    });
}

ProductRows Pass::multiply(const Matrix& matrix, float* buffer) {
    const ProductRows out = ProductRows::of(matrix, buffer);
    linear(compute_, matrix, input_, out, rows_.size());
    return out;
}

/// Writes gelu(gate) * up to the input, a piece that fits the first-level cache at a time.
void Pass::activate(const ProductRows& gate, const ProductRows& up, size_t width) {
    constexpr size_t kPiece = 1024;
    for_rows(compute_, rows_.size(), [&](size_t row, size_t worker) {
        float gate_room[kPiece];
        float up_room[kPiece];
        float* to = input_.row(row, worker);
        for (size_t first = 0; first < width; first += kPiece) {
            const size_t n = std::min(kPiece, width - first);
            vector_.gelu_mul(gate.load(vector_, row, first, n, gate_room),
                             up.load(vector_, row, first, n, up_room), to + first, n);
        }
        input_.finish_row(row, worker);
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
void Pass::append_kv(size_t index, const ProductRows& keys, const ProductRows& values) {
    const LayerConfig& shape = config_.layers[index];
    const LayerWeights& layer = weights_.layers[index];
    const size_t dim = shape.head_dim;
    for_rows(compute_, rows_.size(), [&](size_t row, size_t worker) {
        float* key = ws_.row_scratch(worker);
        float* value = ws_.row_room(worker);
        for (size_t head = 0; head < shape.n_kv_heads; ++head) {
            const float* raw_value = values.load(vector_, row, head * dim, dim, value);
            vector_.rms_norm(raw_value, nullptr, value, dim, config_.norm_eps);
            const float* raw_key = keys.load(vector_, row, head * dim, dim, key);
            vector_.rms_norm(raw_key, layer.k_norm, key, dim, config_.norm_eps);
            rotate(shape.is_global, row, key, dim);
            const KvCache& cache = *rows_[row].cache;
            write_kv(vector_, cache.type(), cache.layer(index),
                     static_cast<size_t>(rows_[row].position), head, key, value);
        }
    });
}

/// Norm and rotation of the queries, which attend in place.
void Pass::rotate_queries(size_t index, const ProductRows& queries) {
    const LayerConfig& shape = config_.layers[index];
    const float* weight = weights_.layers[index].q_norm;
    const size_t dim = shape.head_dim;
    for_rows(compute_, rows_.size(), [&](size_t row, size_t) {
        for (size_t head = 0; head < config_.n_heads; ++head) {
            float* query = ws_.attended + (row * config_.n_heads + head) * dim;
            const float* raw = queries.load(vector_, row, head * dim, dim, query);
            vector_.rms_norm(raw, weight, query, dim, config_.norm_eps);
            rotate(shape.is_global, row, query, dim);
        }
    });
}

void Pass::attention(size_t index) {
    const LayerConfig& shape = config_.layers[index];
    const LayerWeights& layer = weights_.layers[index];
    const size_t m = rows_.size();
    const size_t q_width = config_.n_heads * shape.head_dim;
    const LinearJob jobs[] = {{&layer.q, ProductRows::of(layer.q, ws_.q), 0, m},
                              {&layer.k, ProductRows::of(layer.k, ws_.k), 0, m},
                              {&layer.v, ProductRows::of(layer.v, ws_.v), 0, m}};
    const size_t n_jobs = !shape.owns_kv ? 1 : shape.k_equals_v ? 2 : 3;
    linear(compute_, std::span(jobs, n_jobs), input_);
    if (shape.owns_kv) append_kv(index, jobs[1].out, jobs[n_jobs - 1].out);
    rotate_queries(index, jobs[0].out);
    attend(compute_, config_, index, rows_, ws_.attended, ws_.attended);  // [n_rows, heads * dim]
    const Matrix* const users[] = {&layer.o};
    input_ = LinearInput(compute_, users, m);
    for_rows(compute_, m, [&](size_t row, size_t worker) {
        std::copy_n(ws_.attended + row * q_width, q_width, input_.row(row, worker));
        input_.finish_row(row, worker);
    });
    branch_ = multiply(layer.o, ws_.branch);  // [n_rows, d]
}

void Pass::feed_forward(size_t index) {
    const LayerWeights& layer = weights_.layers[index];
    const size_t m = rows_.size();
    const LinearJob jobs[] = {{&layer.gate, ProductRows::of(layer.gate, ws_.gate), 0, m},
                              {&layer.up, ProductRows::of(layer.up, ws_.up), 0, m}};
    linear(compute_, jobs, input_);  // [n_rows, ffn] twice
    const Matrix* const users[] = {&layer.down};
    input_ = LinearInput(compute_, users, m);
    activate(jobs[0].out, jobs[1].out, config_.layers[index].ffn_width);
    branch_ = multiply(layer.down, ws_.branch);  // [n_rows, d]
    if (config_.n_experts != 0) add_experts(index);
}

/// Mixture of experts: the branch becomes the sum of the dense and the experts' result.
void Pass::add_experts(size_t index) {
    const LayerWeights& layer = weights_.layers[index];
    const size_t m = rows_.size();
    run_experts(compute_, config_, layer, ws_.hidden, m, ws_.experts);  // [n_rows, d]
    for_rows(compute_, m, [&](size_t row, size_t worker) {
        float* room = ws_.row_room(worker);
        float* experts = ws_.experts + row * d_;
        const float* dense = branch_.load(vector_, row, 0, d_, room);
        vector_.rms_norm(dense, layer.post_dense_norm, room, d_, config_.norm_eps);
        vector_.rms_norm(experts, layer.post_expert_norm, experts, d_, config_.norm_eps);
        vector_.add_scale(room, experts, experts, d_, 1.0F);
    });
    branch_ = {.values = ws_.experts, .stride = d_};
}

void Pass::per_layer_input(size_t index) {
    const LayerWeights& layer = weights_.layers[index];
    const size_t width = config_.ple_width;
    const size_t stride = config_.n_layers * width;
    const ProductRows gate = multiply(layer.ple_gate, ws_.ple_gate);  // [n_rows, ple]
    const ProductRows input{.values = ws_.ple + index * width, .stride = stride};
    const Matrix* const users[] = {&layer.ple_projection};
    input_ = LinearInput(compute_, users, rows_.size());
    activate(gate, input, width);
    branch_ = multiply(layer.ple_projection, ws_.branch);  // [n_rows, d]
}

/// Starts with the layer's normed input in input_, ends with that of the next one unless this is
/// the last of a run.
void Pass::run_layer(size_t index, bool is_last) {
    const LayerWeights& layer = weights_.layers[index];
    const LayerWeights& next = weights_.layers[is_last ? index : index + 1];
    const Matrix* const feed_forward_users[] = {&layer.gate, &layer.up};
    const Matrix* const per_layer_users[] = {&layer.ple_gate};
    const Matrix* const next_users[] = {&next.q, &next.k, &next.v};
    std::span<const Matrix* const> after;
    if (!is_last) after = next_users;

    attention(index);  // branch [n_rows, d]
    add_branch(layer.post_attention_norm, 1.0F, layer.pre_ffn_norm, feed_forward_users);
    feed_forward(index);  // branch [n_rows, d]
    if (config_.ple_width == 0) {
        add_branch(layer.post_ffn_norm, layer.layer_scalar, next.input_norm, after);
        return;
    }
    // The gate reads the residual stream itself, without a norm.
    add_branch(layer.post_ffn_norm, 1.0F, nullptr, per_layer_users);
    per_layer_input(index);  // branch [n_rows, d]
    add_branch(layer.post_ple_norm, layer.layer_scalar, next.input_norm, after);
}

void Pass::run_layers(size_t begin, size_t end) {
    if (begin == end) return;
    const LayerWeights& first = weights_.layers[begin];
    const Matrix* const users[] = {&first.q, &first.k, &first.v};
    feed(first.input_norm, users);
    for (size_t i = begin; i < end; ++i) run_layer(i, i + 1 == end);
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
    const Matrix* const users[] = {&weights_.head};
    feed(weights_.final_norm, users);
    compute_logits(compute_, config_, weights_.head, input_, rows_);
}

void Pass::run_alone(size_t index) {
    prepare_rotation();
    if (config_.ple_width != 0) {
        embed_rows(compute_, weights_, rows_, d_, ws_.normed);
        embed_per_layer(compute_, config_, weights_, rows_, ws_.normed, index, index + 1, ws_.ple);
    }
    run_layers(index, index + 1);
}

size_t Pass::run() {
    enter();
    run_layers(0, config_.n_owning_layers);
    keep_wanted();
    if (rows_.empty()) return 0;
    run_layers(config_.n_owning_layers, config_.n_layers);
    head();
    return rows_.size();
}

}  // namespace

size_t forward(const Compute& compute, const TextModel& model, std::span<StepRow> rows) noexcept {
    return Pass(compute, model, rows).run();
}

void forward_layer(const Compute& compute, const TextModel& model, std::span<StepRow> rows,
                   size_t index) noexcept {
    Pass(compute, model, rows).run_alone(index);
}

}  // namespace gemlet
