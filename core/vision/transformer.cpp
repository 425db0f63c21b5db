// The vision transformer. A layer is the list of calls in run_layer.
// Source: Gemma4VisionModel of the reference implementation.
#include <algorithm>
#include <cmath>

#include "core/vision/encode.h"

namespace gemlet {
namespace {

// Queries of a task: whole tiles of the attention kernels, which are 3, 4, 6 or 12 queries high.
constexpr size_t kTaskQueries = 60;
static_assert(kTaskQueries <= kMaxAttentionQueries);

/// One run over one picture.
class Pass {
  public:
    Pass(const TowerCompute& compute, const VisionModel& model, VisionWorkspace& workspace,
         const PatchGrid& picture)
        : compute_(compute),
          vector_(*compute.kernels.vector),
          config_(model.config),
          weights_(model.weights),
          ws_(workspace),
          picture_(picture),
          n_(picture.n_patches()),
          width_(model.config.width) {}
    void run(const VisionModel& model);

  private:
    void run_layer(const VisionLayer& layer);
    void prepare_rotation();
    void norm(const float* weight);
    void add_normed(const float* weight);
    void attention(const VisionLayer& layer);
    void spread_heads(const float* rows, const float* weight, bool rotate, size_t n_heads,
                      float* out);
    void attend();
    void attend_task(size_t head, size_t first, float* scratch);
    void feed_forward(const VisionLayer& layer);
    void pool();

    const TowerCompute& compute_;
    const VectorVariant& vector_;
    const VisionConfig& config_;
    const VisionWeights& weights_;
    VisionWorkspace& ws_;
    const PatchGrid& picture_;
    size_t n_;
    size_t width_;
};

/// Angles of every coordinate that occurs; both halves of a head use the same frequencies.
void Pass::prepare_rotation() {
    const size_t n_pairs = config_.head_dim / 4;
    const size_t most = std::max(picture_.rows, picture_.cols);
    for (size_t i = 0; i < n_pairs; ++i) {
        const float exponent = static_cast<float>(2 * i) / static_cast<float>(2 * n_pairs);
        const float frequency = 1.0F / std::pow(config_.rope_theta, exponent);
        for (size_t at = 0; at < most; ++at) {
            const float angle = static_cast<float>(at) * frequency;
            ws_.cosine[at * n_pairs + i] = std::cos(angle);
            ws_.sine[at * n_pairs + i] = std::sin(angle);
        }
    }
}

void Pass::norm(const float* weight) {
    tower_rows(compute_, n_, [&](size_t row, size_t) {
        vector_.rms_norm(ws_.hidden + row * width_, weight, ws_.normed + row * width_, width_,
                         config_.norm_eps);
    });
}

void Pass::add_normed(const float* weight) {
    tower_rows(compute_, n_, [&](size_t row, size_t) {
        float* branch = ws_.branch + row * width_;
        float* hidden = ws_.hidden + row * width_;
        vector_.rms_norm(branch, weight, branch, width_, config_.norm_eps);
        vector_.add_scale(hidden, branch, hidden, width_, 1.0F);
    });
}

/// Norms and turns each head of rows [n, n_heads * head_dim] and puts the heads apart:
/// out [n_heads, n, padded_head_dim], zeros behind each head.
void Pass::spread_heads(const float* rows, const float* weight, bool rotate, size_t n_heads,
                        float* out) {
    const size_t dim = config_.head_dim;
    const size_t padded = config_.padded_head_dim();
    const size_t n_pairs = dim / 4;
    tower_rows(compute_, n_, [&](size_t row, size_t) {
        const PatchPosition at = picture_.positions[row];
        const size_t x = static_cast<size_t>(at.x) * n_pairs;
        const size_t y = static_cast<size_t>(at.y) * n_pairs;
        for (size_t head = 0; head < n_heads; ++head) {
            float* to = out + (head * n_ + row) * padded;
            vector_.rms_norm(rows + (row * n_heads + head) * dim, weight, to, dim,
                             config_.norm_eps);
            if (rotate) {
                vector_.rope(to, ws_.cosine + x, ws_.sine + x, n_pairs);
                vector_.rope(to + dim / 2, ws_.cosine + y, ws_.sine + y, n_pairs);
            }
            std::fill(to + dim, to + padded, 0.0F);
        }
    });
}

/// Every patch sees every patch. Queries first .. of one head.
void Pass::attend_task(size_t head, size_t first, float* scratch) {
    const size_t dim = config_.head_dim;
    const size_t padded = config_.padded_head_dim();
    const size_t n_queries = std::min(kTaskQueries, n_ - first);
    const size_t kv_head = head * config_.n_kv_heads / config_.n_heads;
    int32_t begins[kMaxAttentionQueries] = {};
    int32_t ends[kMaxAttentionQueries];
    std::fill_n(ends, n_queries, static_cast<int32_t>(n_));
    float* result = scratch;
    AttentionArgs args{};
    args.q = ws_.q + (head * n_ + first) * padded;
    args.q_stride = padded;
    args.out = result;
    args.out_stride = padded;
    args.n_queries = n_queries;
    args.head_dim = padded;
    args.first = begins;
    args.last = ends;
    args.kv_type = KvType::f32;
    args.k = reinterpret_cast<const uint8_t*>(ws_.k + kv_head * n_ * padded);
    args.v = reinterpret_cast<const uint8_t*>(ws_.v + kv_head * n_ * padded);
    args.slot_stride_bytes = padded * sizeof(float);
    args.n_slots = n_;
    args.scratch = result + kMaxAttentionQueries * padded;
    compute_.kernels.attention->run(args);
    for (size_t i = 0; i < n_queries; ++i) {
        std::copy_n(result + i * padded, dim,
                    ws_.attended + (first + i) * config_.q_width() + head * dim);
    }
}

void Pass::attend() {
    const size_t n_tiles = (n_ + kTaskQueries - 1) / kTaskQueries;
    compute_.pool.parallel_for(
        n_tiles * config_.n_heads, 1, [&](size_t begin, size_t end, size_t worker) noexcept {
            for (size_t task = begin; task < end; ++task) {
                attend_task(task / n_tiles, task % n_tiles * kTaskQueries,
                            reinterpret_cast<float*>(compute_.scratch_of(worker)));
            }
        });
}

void Pass::attention(const VisionLayer& layer) {
    const size_t q_width = config_.q_width();
    const size_t kv_width = config_.kv_width();
    // What the rows are until their heads are apart.
    float* q = ws_.attended;
    float* k = ws_.branch;
    float* v = ws_.wide;
    const TowerJob jobs[] = {
        {&layer.q, q, q_width}, {&layer.k, k, kv_width}, {&layer.v, v, kv_width}};
    tower_linear(compute_, jobs, ws_.normed, width_, n_);         // [n, q_width], [n, kv_width] x 2
    spread_heads(q, layer.q_norm, true, config_.n_heads, ws_.q);  // [heads, n, padded]
    spread_heads(k, layer.k_norm, true, config_.n_kv_heads, ws_.k);  // [kv_heads, n, padded]
    spread_heads(v, nullptr, false, config_.n_kv_heads, ws_.v);      // [kv_heads, n, padded]
    attend();                                                        // attended [n, q_width]
    tower_linear(compute_, layer.o, ws_.attended, ws_.branch, n_);   // [n, width]
}

void Pass::feed_forward(const VisionLayer& layer) {
    const size_t ffn = config_.ffn_width;
    for (size_t first = 0; first < n_; first += kVisionFfnRows) {
        const size_t m = std::min(kVisionFfnRows, n_ - first);
        float* gate = ws_.wide;
        float* up = ws_.wide + m * ffn;
        const TowerJob jobs[] = {{&layer.gate, gate, ffn}, {&layer.up, up, ffn}};
        tower_linear(compute_, jobs, ws_.normed + first * width_, width_, m);  // [m, ffn] twice
        tower_rows(compute_, m, [&](size_t row, size_t) {
            vector_.gelu_mul(gate + row * ffn, up + row * ffn, gate + row * ffn, ffn);
        });
        tower_linear(compute_, layer.down, gate, ws_.branch + first * width_, m);  // [m, width]
    }
}

void Pass::run_layer(const VisionLayer& layer) {
    norm(layer.input_norm);                 // normed [n, width]
    attention(layer);                       // branch [n, width]
    add_normed(layer.post_attention_norm);  // hidden [n, width]
    norm(layer.pre_ffn_norm);               // normed [n, width]
    feed_forward(layer);                    // branch [n, width]
    add_normed(layer.post_ffn_norm);        // hidden [n, width]
    if (layer.output_scale == nullptr) return;
    tower_rows(compute_, n_, [&](size_t row, size_t) {
        for (size_t i = 0; i < width_; ++i) ws_.hidden[row * width_ + i] *= layer.output_scale[i];
    });
}

/// Mean of each square of patches, times the root of the width, then standardised.
void Pass::pool() {
    const size_t side = config_.pooling;
    const size_t out_cols = picture_.cols / side;
    const size_t n_soft = soft_tokens_of(config_, picture_);
    const auto n_pooled = static_cast<float>(side * side);
    const float factor = std::sqrt(static_cast<float>(width_));
    tower_rows(compute_, n_soft, [&](size_t token, size_t) {
        const size_t first = token / out_cols * side * picture_.cols + token % out_cols * side;
        float* out = ws_.pooled + token * width_;
        std::fill_n(out, width_, 0.0F);
        for (size_t i = 0; i < side * side; ++i) {
            const size_t row = first + i / side * picture_.cols + i % side;
            vector_.add_scale(out, ws_.hidden + row * width_, out, width_, 1.0F);
        }
        for (size_t i = 0; i < width_; ++i) {
            out[i] = out[i] / n_pooled * factor;
            if (weights_.std_bias != nullptr) {
                out[i] = (out[i] - weights_.std_bias[i]) * weights_.std_scale[i];
            }
        }
    });
}

void Pass::run(const VisionModel& model) {
    tower_linear(compute_, weights_.patch, ws_.normed, ws_.hidden, n_);  // [n, width]
    add_positions(compute_, model, picture_, ws_.hidden);                // [n, width]
    prepare_rotation();
    for (const VisionLayer& layer : weights_.layers) {
        if (compute_.pause != nullptr && compute_.pause->stop()) return;
        run_layer(layer);  // hidden [n, width]
    }
    pool();  // [n_soft, width]
}

}  // namespace

size_t vision_attention_scratch_bytes(const VisionConfig& config) {
    const size_t padded = config.padded_head_dim();
    return (kMaxAttentionQueries * padded +
            attention_scratch_floats(kMaxAttentionQueries, padded)) *
           sizeof(float);
}

void run_transformer(const TowerCompute& compute, const VisionModel& model,
                     VisionWorkspace& workspace, const PatchGrid& picture) noexcept {
    Pass(compute, model, workspace, picture).run(model);
}

}  // namespace gemlet
