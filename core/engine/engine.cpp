// Opening in order: checkpoint, options against the model, weights, memory limit, workers. Whatever
// can fail fails before a thread is started.
#include "core/engine/engine.h"

#include <algorithm>

#include "core/engine/engine_parts.h"
#include "core/guard.h"
#include "core/memory/plan.h"

namespace gemlet {
namespace {

constexpr size_t kLongestPicture = 1120;  // soft tokens of the largest picture budget
constexpr size_t kMinContext = 16;
constexpr size_t kMaxChunk = 8192;
constexpr size_t kMaxParallel = 256;
// Pages of the per-layer table that stay resident during a long conversation: at most 16 KiB for
// each of this many distinct tokens.
constexpr size_t kDistinctTokens = 2048;
constexpr size_t kTableBytesPerToken = 16U << 10U;

Status fill_options(const ModelConfig& config, EngineOptions& options) {
    if (options.context == 0) options.context = std::min(config.context_length, kDefaultContext);
    if (options.context < kMinContext || options.context > config.context_length) {
        return {StatusCode::bad_argument, "context length is not within the model's", "--context",
                static_cast<int64_t>(options.context)};
    }
    if (options.chunk == 0 || options.chunk > kMaxChunk) {
        return {StatusCode::bad_argument, "chunk must be 1 to 8192 rows", "--chunk",
                static_cast<int64_t>(options.chunk)};
    }
    if (options.parallel == 0 || options.parallel > kMaxParallel) {
        return {StatusCode::bad_argument, "conversations must be 1 to 256", "--parallel",
                static_cast<int64_t>(options.parallel)};
    }
    // Every conversation of a batch gets a row into one step.
    options.chunk = std::max(std::min(options.chunk, options.context), options.parallel);
    options.max_wanted =
        std::max(std::clamp<size_t>(options.max_wanted, 1, options.chunk), options.parallel);
    return {};
}

/// Bytes of the per-layer table that a conversation makes resident.
uint64_t resident_table(const EngineParts& parts) {
    const uint64_t table = parts.weights.ple.rows.bytes();
    if (parts.options.ple_in_memory) return table;
    return std::min<uint64_t>(table, kDistinctTokens * kTableBytesPerToken);
}

/// What the cache holds if nobody says: what the checkpoint was trained with.
KvType own_kv_type(const TextWeights& weights, const ModelConfig& config) {
    const bool scales =
        std::all_of(weights.layers.begin(),
                    weights.layers.begin() + static_cast<ptrdiff_t>(config.n_owning_layers),
                    [](const LayerWeights& layer) {
                        return layer.k_cache_scale > 0 && layer.v_cache_scale > 0;
                    });
    return scales ? KvType::i8 : KvType::f16;
}

uint64_t resident_at(const EngineParts& parts, size_t context) {
    const ModelConfig& config = parts.checkpoint.config();
    KvCacheShape shape = parts.cache_shape();
    shape.context = context;
    MemoryPlan plan;
    Workspace workspace;
    workspace.shape = parts.workspace_shape();
    workspace.shape.context = context;
    workspace.plan(config, plan);
    return parts.weights.bytes.always +
           parts.options.parallel * KvCache::planned_bytes(config, shape) + plan.total_bytes() +
           resident_table(parts);
}

/// Largest context that keeps the limit, by bisection; 0 when none does.
size_t largest_context(const EngineParts& parts) {
    const uint64_t limit = parts.options.memory_limit_bytes;
    size_t low = 0;
    size_t high = parts.checkpoint.config().context_length;
    while (low < high) {
        const size_t middle = low + (high - low + 1) / 2;
        if (resident_at(parts, middle) <= limit) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return low < kMinContext ? 0 : low;
}

MemoryReport report(const EngineParts& parts) {
    const ModelConfig& config = parts.checkpoint.config();
    const TextWeights& weights = parts.weights;
    MemoryReport out;
    out.lines.push_back({"weights read for every token", weights.bytes.always, true});
    if (weights.ple.rows.present()) {
        out.lines.push_back({"per-layer embedding rows in use", resident_table(parts), true});
    }
    out.lines.push_back(
        {"KV cache", parts.options.parallel * KvCache::planned_bytes(config, parts.cache_shape()),
         true});
    MemoryPlan plan;
    Workspace workspace;
    workspace.shape = parts.workspace_shape();
    workspace.plan(config, plan);
    for (const PlanRow& row : plan.rows()) out.lines.push_back({row.name, row.bytes, true});
    for (const MemoryLine& line : out.lines) out.resident_bytes += line.bytes;
    out.lines.push_back(
        {"tables in the file, rows read on demand", weights.bytes.looked_up, false});
    out.lines.push_back({"the file", parts.checkpoint.mapped_bytes(), false});
    if (parts.options.memory_limit_bytes != 0) out.largest_context = largest_context(parts);
    return out;
}

/// Everything but the workers.
Result<std::unique_ptr<EngineParts>> prepare(const std::string& path, const EngineOptions& options,
                                             std::string* fault_file) {
    auto parts = std::make_unique<EngineParts>();
    Result<Checkpoint> checkpoint = Checkpoint::open(path, fault_file);
    GEMLET_TRY(checkpoint);
    parts->checkpoint = std::move(*checkpoint);
    parts->options = options;
    const ModelConfig& config = parts->checkpoint.config();
    GEMLET_TRY(fill_options(config, parts->options));
    Result<TextWeights> weights = bind_text_weights(parts->checkpoint, config, fault_file);
    GEMLET_TRY(weights);
    parts->weights = std::move(*weights);
    if (!parts->options.kv_type) parts->options.kv_type = own_kv_type(parts->weights, config);
    parts->rotary = make_rotary_tables(config);
    parts->isas = detect_isas();
    if (options.isa_cap) parts->isas = cap_isas(parts->isas, *options.isa_cap);
    parts->kernels = select_kernels(parts->isas);
    return parts;
}

Isa best_isa(const Kernels& kernels) {
    return std::max({kernels.vector->isa, kernels.matmul_float->isa, kernels.matmul_row->isa,
                     kernels.matmul_block->isa, kernels.attention->isa});
}

EngineFacts describe(const EngineParts& parts) {
    const Kernels& kernels = parts.kernels;
    const ModelConfig& config = parts.checkpoint.config();
    EngineFacts facts;
    facts.n_threads = parts.options.n_threads;
    facts.isa = best_isa(kernels);
    const auto variant = [](const char* family, Isa isa) {
        return std::string(family) + "/" + isa_name(isa);
    };
    facts.kernels = {variant("matmul_row", kernels.matmul_row->isa),
                     variant("matmul_block", kernels.matmul_block->isa),
                     variant("matmul_float", kernels.matmul_float->isa),
                     variant("attention", kernels.attention->isa),
                     variant("vector", kernels.vector->isa)};
    facts.weight_bytes_per_token = parts.weights.bytes.always;
    facts.prefill_multiplications = config.prefill_multiplications();
    facts.decode_multiplications = config.decode_multiplications();
    facts.kv_scales_divided = parts.weights.kv_scales_divided;
    facts.n_uncalibrated = parts.weights.n_uncalibrated;
    return facts;
}

/// Rows of these tables are read here and there: no read-ahead.
void advise_tables(const TextWeights& weights, bool ple_in_memory) {
    const auto tell = [](const Matrix& rows, Access access) {
        if (rows.present()) advise({rows.data, rows.bytes()}, access);
    };
    tell(weights.ple.rows, ple_in_memory ? Access::now : Access::random);
    if (weights.embedding.rows.data != weights.head.data) {
        tell(weights.embedding.rows, Access::random);
    }
}

}  // namespace

size_t EngineParts::max_rows() const {
    return checkpoint.config().image_bidirectional ? std::max(options.chunk, kLongestPicture)
                                                   : options.chunk;
}

KvCacheShape EngineParts::cache_shape() const {
    return {options.kv_type.value_or(KvType::f16), options.context, max_rows()};
}

WorkspaceShape EngineParts::workspace_shape() const {
    return {.max_rows = max_rows(),
            .max_wanted = options.max_wanted,
            .n_workers = pool != nullptr ? pool->n_workers() : options.n_threads,
            .context = options.context,
            .float_activations = options.float_activations};
}

Engine::Engine(std::unique_ptr<EngineParts> parts) : parts_(std::move(parts)) {}
Engine::~Engine() = default;

Result<std::unique_ptr<Engine>> Engine::open(const std::string& path, const EngineOptions& options,
                                             std::string* fault_file) {
    return guard([&]() -> Result<std::unique_ptr<Engine>> {
        Result<std::unique_ptr<EngineParts>> prepared = prepare(path, options, fault_file);
        GEMLET_TRY(prepared);
        EngineParts& parts = **prepared;
        ThreadPoolOptions threads;
        threads.n_threads = options.n_threads;
        Result<std::unique_ptr<ThreadPool>> pool = ThreadPool::create(threads);
        GEMLET_TRY(pool);
        parts.pool = std::move(*pool);
        parts.options.n_threads = parts.pool->n_workers();
        const uint64_t limit = parts.options.memory_limit_bytes;
        if (limit != 0 && resident_at(parts, parts.options.context) > limit) {
            const size_t fits = largest_context(parts);
            return fits == 0
                       ? Status(StatusCode::out_of_memory,
                                "does not fit the memory limit with any context", "--memory")
                       : Status(StatusCode::out_of_memory,
                                "does not fit the memory limit; the largest --context that does",
                                "--memory", static_cast<int64_t>(fits));
        }
        advise_tables(parts.weights, options.ple_in_memory);
        return std::unique_ptr<Engine>(new Engine(std::move(*prepared)));
    });
}

Result<ModelPlan> plan_model(const std::string& path, const EngineOptions& options,
                             std::string* fault_file) {
    return guard([&]() -> Result<ModelPlan> {
        Result<std::unique_ptr<EngineParts>> prepared = prepare(path, options, fault_file);
        GEMLET_TRY(prepared);
        EngineParts& parts = **prepared;
        parts.options.n_threads = place_on_this_machine(options.n_threads).workers.size();
        ModelPlan plan{{}, parts.options, describe(parts), report(parts)};
        plan.checkpoint = std::move(parts.checkpoint);
        return plan;
    });
}

const Checkpoint& Engine::checkpoint() const { return parts_->checkpoint; }
const ModelConfig& Engine::config() const { return parts_->checkpoint.config(); }
const EngineOptions& Engine::options() const { return parts_->options; }
MemoryReport Engine::memory() const { return report(*parts_); }

EngineFacts Engine::facts() const { return describe(*parts_); }

}  // namespace gemlet
