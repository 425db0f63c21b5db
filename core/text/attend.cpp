// A task is a few neighbouring rows of one session times some of the query heads that share a KV
// head, at most kMaxAttentionQueries queries: long prompts give tasks of many rows, which read each
// key once for all of them. Where there are fewer such tasks than workers (a decoded row), the
// workers attend for one row and KV head together, cut by keys and components, if the row sees many
// keys; else its heads are split. No split changes any bit of the result (see
// kernels/attention/attention.h).
//
// Global layers over an int8 cache go on in integers from kFloatPositions on: deep in a context
// they take as long as the weights, and integers are twice as fast. Where the line lies depends on
// a row's position alone, so chunks, threads and batches still give the same bits. Before it every
// code of a QAT mobile checkpoint equals the reference's; behind it rounding to 16 bits may flip
// one now and then, as float32 does against float64 in prompts of that length. At depth 8,192 of
// E2B on two AVX2 threads the integers take 9 ms of a decode step of 66 ms.
#include "core/text/attend.h"

#include <algorithm>

namespace gemlet {
namespace {

constexpr int32_t kFloatPositions = 2048;
// Fewer keys do not pay for two more parallel regions.
constexpr int32_t kLeastTogetherKeys = 256;
// In integers two workers who split the heads decode as fast or faster (E2B at depths from 2,304 to
// 7,000, AVX2), although the shared steps alone are faster. More workers have not been measured.
constexpr size_t kLeastTogetherInIntegers = 4;

struct Ranges {
    int32_t first[kMaxAttentionQueries];
    int32_t last[kMaxAttentionQueries];
};

/// How one layer's attention is cut into tasks.
struct Split {
    size_t heads_per_group;  // query heads that share a KV head
    size_t heads_per_task;
    size_t rows_per_task;
    size_t tasks_per_row_tile;
    int32_t float_positions;  // rows behind them are attended to in integers
};

bool in_integers(const Split& split, const StepRow& row) {
    return row.position >= split.float_positions;
}

int32_t float_positions(const LayerConfig& layer, KvType type) {
    const bool line = layer.is_global && type == KvType::i8 && layer.head_dim <= kMaxIntHeadDim;
    return line ? kFloatPositions : INT32_MAX;
}

Split choose_split(const ModelConfig& config, const LayerConfig& layer, KvType type, size_t n_rows,
                   size_t n_workers) {
    Split split{};
    split.float_positions = float_positions(layer, type);
    split.heads_per_group = config.n_heads / layer.n_kv_heads;
    split.heads_per_task = std::min(split.heads_per_group, kMaxAttentionQueries);
    // Few rows: cut the heads until there is a task for every worker.
    while (split.heads_per_task > 1 &&
           n_rows * (config.n_heads / split.heads_per_task) < n_workers) {
        split.heads_per_task = (split.heads_per_task + 1) / 2;
    }
    while (split.heads_per_group % split.heads_per_task != 0) --split.heads_per_task;
    split.rows_per_task = kMaxAttentionQueries / split.heads_per_task;
    split.tasks_per_row_tile = config.n_heads / split.heads_per_task;
    return split;
}

/// The end of the run of rows that starts at `begin`, share a cache and arithmetic, and fit one
/// task.
size_t run_end(std::span<const StepRow> rows, size_t begin, const Split& split) {
    size_t end = begin + 1;
    while (end < rows.size() && end - begin < split.rows_per_task &&
           rows[end].cache == rows[begin].cache &&
           in_integers(split, rows[end]) == in_integers(split, rows[begin])) {
        ++end;
    }
    return end;
}

size_t count_row_tiles(std::span<const StepRow> rows, const Split& split) {
    size_t n = 0;
    for (size_t row = 0; row < rows.size(); row = run_end(rows, row, split)) ++n;
    return n;
}

void set_range(const ModelConfig& config, const LayerConfig& layer, const StepRow& row,
               int32_t& first, int32_t& last) {
    first = 0;
    last = row.position + 1;
    if (layer.is_global) return;
    first = std::max(0, row.position - static_cast<int32_t>(config.window) + 1);
    if (config.image_bidirectional) last = std::max(last, row.block_end);
}

/// The cache of a row as one of its KV heads lies in it.
AttentionArgs args_of_cache(const LayerConfig& layer, const KvCache& cache, size_t kv_head) {
    const KvLayer& kv = cache.layer(layer.kv_donor);
    const size_t kv_offset = kv_head * layer.head_dim * kv_element_bytes(cache.type());
    AttentionArgs args{};
    args.head_dim = layer.head_dim;
    args.q_stride = layer.head_dim;
    args.out_stride = layer.head_dim;
    args.kv_type = cache.type();
    args.k = kv.k + kv_offset;
    args.v = kv.v + kv_offset;
    args.slot_stride_bytes = kv.slot_stride_bytes;
    args.n_slots = kv.n_slots;
    if (args.kv_type == KvType::i8) {
        args.k_scale = kv.k_scale + kv_head;
        args.v_scale = kv.v_scale + kv_head;
        args.scale_stride = kv.n_kv_heads;
    }
    return args;
}

const AttentionVariant& variant_for(const Compute& compute, const Split& split,
                                    const StepRow& row) {
    return *(in_integers(split, row) ? compute.kernels.attention_int : compute.kernels.attention);
}

struct Task {
    std::span<const StepRow> rows;
    size_t first_row;
    size_t first_head;
};

void run_task(const Compute& compute, const ModelConfig& config, size_t index, const Split& split,
              const Task& task, const float* q, float* out, float* scratch) {
    const LayerConfig& layer = config.layers[index];
    const size_t dim = layer.head_dim;
    const size_t row_width = config.n_heads * dim;
    const size_t n_heads = split.heads_per_task;
    const size_t n_queries = task.rows.size() * n_heads;
    float* gathered = scratch;
    float* result = gathered + n_queries * dim;
    Ranges ranges{};
    for (size_t i = 0; i < task.rows.size(); ++i) {
        std::copy_n(q + (task.first_row + i) * row_width + task.first_head * dim, n_heads * dim,
                    gathered + i * n_heads * dim);
        for (size_t head = 0; head < n_heads; ++head) {
            const size_t query = i * n_heads + head;
            set_range(config, layer, task.rows[i], ranges.first[query], ranges.last[query]);
        }
    }
    AttentionArgs args =
        args_of_cache(layer, *task.rows[0].cache, task.first_head / split.heads_per_group);
    args.q = gathered;
    args.out = result;
    args.n_queries = n_queries;
    args.first = ranges.first;
    args.last = ranges.last;
    args.scratch = result + n_queries * dim;
    variant_for(compute, split, task.rows[0]).run(args);
    for (size_t i = 0; i < task.rows.size(); ++i) {
        std::copy_n(result + i * n_heads * dim, n_heads * dim,
                    out + (task.first_row + i) * row_width + task.first_head * dim);
    }
}

/// All workers attend for one row and the query heads of one KV head.
void attend_together(const Compute& compute, const AttentionVariant& variant,
                     const AttentionArgs& args) {
    constexpr size_t kLeastBlocks = 2;
    constexpr size_t kLeastComponents = 32;
    const size_t n_workers = compute.pool.n_workers();
    // One step for n items, in about n_parts parts of whole units.
    const auto run_step = [&](auto* step, size_t n, size_t n_parts, size_t unit) {
        const size_t part = ((n + n_parts - 1) / n_parts + unit - 1) / unit * unit;
        const auto run_parts = [&](size_t begin, size_t end, size_t worker) noexcept {
            AttentionArgs mine = args;
            mine.scratch = reinterpret_cast<float*>(compute.workspace.scratch_of(worker));
            for (size_t i = begin; i < end; ++i) {
                step(mine, {compute.workspace.together, i * part, std::min(n, (i + 1) * part)});
            }
        };
        compute.pool.parallel_for((n + part - 1) / part, 1, run_parts);
    };
    run_step(variant.score, attention_blocks(args), 4 * n_workers, kLeastBlocks);
    run_step(variant.weigh, args.n_queries, args.n_queries, 1);
    run_step(variant.add, args.head_dim, n_workers, kLeastComponents);
}

/// Whether the workers attend for these rows together: too few tasks for them, many keys.
bool pays_together(const Compute& compute, const ModelConfig& config, const LayerConfig& layer,
                   const Split& split, std::span<const StepRow> rows) {
    const size_t n_workers = compute.pool.n_workers();
    if (rows.size() * layer.n_kv_heads >= n_workers) return false;
    if (config.n_heads / layer.n_kv_heads > kMaxAttentionQueries) return false;
    for (const StepRow& row : rows) {
        int32_t first = 0;
        int32_t last = 0;
        set_range(config, layer, row, first, last);
        if (variant_for(compute, split, row).score == nullptr) return false;
        if (last - first < kLeastTogetherKeys) return false;
        if (in_integers(split, row) && n_workers < kLeastTogetherInIntegers) return false;
    }
    return true;
}

void attend_rows_together(const Compute& compute, const ModelConfig& config, size_t index,
                          const Split& split, std::span<const StepRow> rows, const float* q,
                          float* out) {
    const LayerConfig& layer = config.layers[index];
    for (size_t i = 0; i < rows.size(); ++i) {
        Ranges ranges{};
        for (size_t head = 0; head < split.heads_per_group; ++head) {
            set_range(config, layer, rows[i], ranges.first[head], ranges.last[head]);
        }
        for (size_t kv_head = 0; kv_head < layer.n_kv_heads; ++kv_head) {
            const size_t at =
                (i * config.n_heads + kv_head * split.heads_per_group) * layer.head_dim;
            AttentionArgs args = args_of_cache(layer, *rows[i].cache, kv_head);
            args.q = q + at;
            args.out = out + at;
            args.n_queries = split.heads_per_group;
            args.first = ranges.first;
            args.last = ranges.last;
            attend_together(compute, variant_for(compute, split, rows[i]), args);
        }
    }
}

}  // namespace

size_t attend_together_floats(const ModelConfig& config, size_t context) {
    size_t most = 0;
    for (const LayerConfig& layer : config.layers) {
        const size_t n_queries = config.n_heads / layer.n_kv_heads;
        most = std::max(most, attention_shared_floats(n_queries, layer.head_dim,
                                                      context / kAttentionBlock + 2));
    }
    return most;
}

size_t attend_scratch_bytes(const ModelConfig& config) {
    const size_t dim = config.max_head_dim();
    const size_t kernel_floats = std::max(attention_scratch_floats(kMaxAttentionQueries, dim),
                                          attention_int_scratch_floats(kMaxAttentionQueries, dim));
    return (2 * kMaxAttentionQueries * dim + kernel_floats) * sizeof(float);
}

void attend(const Compute& compute, const ModelConfig& config, size_t index,
            std::span<const StepRow> rows, const float* q, float* out) noexcept {
    if (rows.empty()) return;
    const LayerConfig& layer = config.layers[index];
    const Split split =
        choose_split(config, layer, rows[0].cache->type(), rows.size(), compute.pool.n_workers());
    if (pays_together(compute, config, layer, split, rows)) {
        return attend_rows_together(compute, config, index, split, rows, q, out);
    }
    const size_t n_tiles = count_row_tiles(rows, split);
    const size_t n_tasks = n_tiles * split.tasks_per_row_tile;
    compute.pool.parallel_for(n_tasks, 1, [&](size_t begin, size_t end, size_t worker) noexcept {
        auto* scratch = reinterpret_cast<float*>(compute.workspace.scratch_of(worker));
        for (size_t task = begin; task < end; ++task) {
            size_t row = 0;
            for (size_t tile = task / split.tasks_per_row_tile; tile > 0; --tile) {
                row = run_end(rows, row, split);
            }
            const size_t row_end = run_end(rows, row, split);
            const size_t head = task % split.tasks_per_row_tile * split.heads_per_task;
            run_task(compute, config, index, split, {rows.subspan(row, row_end - row), row, head},
                     q, out, scratch);
        }
    });
}

}  // namespace gemlet
