// Opening in order: file, hyper-parameters, weights, memory. Whatever can fail fails before memory
// is taken.
#include "core/vision/vision_encoder.h"

#include <algorithm>

#include "core/engine/engine_parts.h"
#include "core/guard.h"
#include "core/tower/quantised_tower.h"
#include "core/tower/tower_files.h"
#include "core/vision/encode.h"

namespace gemlet {

struct VisionEncoder::Parts {
    EngineParts* engine = nullptr;
    TowerFiles files;
    VisionOptions options;
    VisionConfig config;
    VisionWeights weights;
    VisionWorkspace workspace;
    QuantisedTower quantised;
    Arena arena;

    bool quantises = false;  // and the layers' matrices in the file are not read any more
    MemoryPlan plan(const Kernels& kernels, size_t n_workers);
    MemoryReport report(const MemoryPlan& plan) const;
    Status check(const PatchGrid& picture) const;
};

MemoryPlan VisionEncoder::Parts::plan(const Kernels& kernels, size_t n_workers) {
    MemoryPlan out;
    workspace.plan(config, {options.max_soft_tokens, n_workers}, kernels, out);
    if (quantises) {
        quantised.plan("vision: int8 weights", "vision: int8 scales", weights.layer_linears(), out);
    }
    return out;
}

MemoryReport VisionEncoder::Parts::report(const MemoryPlan& plan) const {
    MemoryReport out;
    if (!quantises) out.lines.push_back({"vision: weights", weights.store.weight_bytes, true});
    for (const PlanRow& row : plan.rows()) out.lines.push_back({row.name, row.bytes, true});
    for (const MemoryLine& line : out.lines) out.resident_bytes += line.bytes;
    out.lines.push_back(
        {"vision: position table, rows read on demand", weights.positions.bytes(), false});
    if (const size_t mapped = files.mapped_bytes(); mapped != 0) {
        out.lines.push_back({"the mmproj file", mapped, false});
    }
    return out;
}

Result<std::unique_ptr<VisionEncoder::Parts>> VisionEncoder::prepare(const Checkpoint& checkpoint,
                                                                     const std::string& mmproj,
                                                                     const VisionOptions& options,
                                                                     std::string* fault_file) {
    std::string unused;
    std::string& fault = fault_file != nullptr ? *fault_file : unused;
    auto parts = std::make_unique<Parts>();
    parts->options = options;
    if (options.max_soft_tokens == 0 || options.max_soft_tokens > kMaxSoftTokens) {
        return Status(StatusCode::bad_argument, "budget must be 1 to 1120 soft tokens", "--budget",
                      static_cast<int64_t>(options.max_soft_tokens));
    }
    fault = mmproj.empty() ? checkpoint.path() : mmproj;
    Result<TowerFiles> files = TowerFiles::open(checkpoint, mmproj);
    GEMLET_TRY(files);
    parts->files = std::move(*files);
    const GgufFile* gguf = parts->files.gguf();
    const size_t text_width = checkpoint.config().d_model;
    const Result<VisionConfig> config =
        gguf != nullptr ? vision_config_from_gguf(*gguf, text_width)
                        : vision_config_from_json(checkpoint.config_json(), text_width);
    GEMLET_TRY(config);
    parts->config = *config;
    const TensorView* faulty = nullptr;
    Result<VisionWeights> weights =
        bind_vision_weights(parts->files.source(), parts->config, &faulty);
    if (!weights && faulty != nullptr) fault = parts->files.path_of(*faulty, fault);
    GEMLET_TRY(weights);
    parts->weights = std::move(*weights);
    parts->quantises = options.precision == TowerPrecision::int8 &&
                       QuantisedTower::applies(parts->weights.layer_linears());
    return parts;
}

VisionEncoder::VisionEncoder(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
VisionEncoder::~VisionEncoder() = default;

Result<std::unique_ptr<VisionEncoder>> VisionEncoder::open(Engine& engine,
                                                           const std::string& mmproj,
                                                           const VisionOptions& options,
                                                           std::string* fault_file) {
    return guard([&]() -> Result<std::unique_ptr<VisionEncoder>> {
        Result<std::unique_ptr<Parts>> prepared =
            prepare(engine.checkpoint(), mmproj, options, fault_file);
        GEMLET_TRY(prepared);
        Parts& parts = **prepared;
        parts.engine = engine.parts_.get();
        const MemoryPlan plan = parts.plan(parts.engine->kernels, parts.engine->pool->n_workers());
        const uint64_t limit = engine.options().memory_limit_bytes;
        const uint64_t wanted = engine.memory().resident_bytes + parts.report(plan).resident_bytes;
        if (limit != 0 && wanted > limit) {
            return Status(StatusCode::out_of_memory,
                          "model and vision encoder do not fit the memory limit; they take (bytes)",
                          "--memory", static_cast<int64_t>(wanted));
        }
        Result<Arena> arena = Arena::allocate(plan);
        GEMLET_TRY(arena);
        parts.arena = std::move(*arena);
        if (parts.quantises) parts.quantised.fill(parts.weights.layer_linears());
        return std::unique_ptr<VisionEncoder>(new VisionEncoder(std::move(*prepared)));
    });
}

Result<VisionPlan> plan_vision(const ModelPlan& model, const std::string& mmproj,
                               const VisionOptions& options, std::string* fault_file) {
    return guard([&]() -> Result<VisionPlan> {
        auto prepared = VisionEncoder::prepare(model.checkpoint, mmproj, options, fault_file);
        GEMLET_TRY(prepared);
        VisionEncoder::Parts& parts = **prepared;
        IsaSet isas = detect_isas();
        if (model.options.isa_cap) isas = cap_isas(isas, *model.options.isa_cap);
        const MemoryPlan plan = parts.plan(select_kernels(isas), model.options.n_threads);
        return VisionPlan{parts.config, parts.report(plan)};
    });
}

const VisionConfig& VisionEncoder::config() const noexcept { return parts_->config; }

size_t VisionEncoder::max_soft_tokens() const noexcept { return parts_->options.max_soft_tokens; }

MemoryReport VisionEncoder::memory() const {
    Parts& parts = *parts_;
    // Planning sets no pointers; but sizes of the workspace are written again, to the same values.
    return parts.report(parts.plan(parts.engine->kernels, parts.engine->pool->n_workers()));
}

/// Everything later code relies on.
Status VisionEncoder::Parts::check(const PatchGrid& picture) const {
    const size_t pooling = config.pooling;
    const auto bad = [](const char* text, size_t number) {
        return Status(StatusCode::bad_argument, text, "picture", static_cast<int64_t>(number));
    };
    if (picture.patch_side != config.patch_side) {
        return bad("patches are not of the encoder's size", picture.patch_side);
    }
    if (picture.rows == 0 || picture.cols == 0 || picture.rows > workspace.max_side ||
        picture.cols > workspace.max_side || picture.rows % pooling != 0 ||
        picture.cols % pooling != 0) {
        return bad("patches do not form whole soft tokens", picture.n_patches());
    }
    if (picture.n_patches() > workspace.max_patches) {
        return bad("picture has more soft tokens than memory was planned for",
                   soft_tokens_of(config, picture));
    }
    if (std::max(picture.rows, picture.cols) > weights.n_positions) {
        return bad("picture is longer than the position table", weights.n_positions);
    }
    if (picture.values.size() != picture.n_patches() * config.patch_dim() ||
        picture.positions.size() != picture.n_patches()) {
        return bad("patches are not as many as rows times columns", picture.positions.size());
    }
    for (size_t i = 0; i < picture.positions.size(); ++i) {
        const PatchPosition expected{static_cast<int32_t>(i % picture.cols),
                                     static_cast<int32_t>(i / picture.cols)};
        if (picture.positions[i] != expected) return bad("patches are not in row-major order", i);
    }
    return {};
}

Result<size_t> VisionEncoder::encode(const PatchGrid& picture, std::span<float> soft,
                                     std::span<float> encoded,
                                     const std::function<bool()>& cancelled) noexcept {
    Parts& parts = *parts_;
    GEMLET_TRY(parts.check(picture));
    const size_t n_soft = soft_tokens_of(parts.config, picture);
    const size_t n_encoded = n_soft * parts.config.width;
    if (soft.size() < n_soft * parts.config.text_width ||
        (!encoded.empty() && encoded.size() < n_encoded)) {
        return Status(StatusCode::bad_argument, "no room for the soft tokens", "picture",
                      static_cast<int64_t>(n_soft));
    }
    EngineParts& engine = *parts.engine;
    const std::lock_guard<TurnLock> lock(engine.one_step);
    const AffinityScope pinned = engine.pool->pin_caller();
    TowerPause pause(engine.one_step, cancelled);
    const TowerCompute compute{engine.kernels,
                               *engine.pool,
                               parts.workspace.packed,
                               parts.workspace.scratch,
                               parts.workspace.scratch_bytes,
                               parts.options.precision == TowerPrecision::in_float,
                               &pause};
    encode_picture(compute, {parts.config, parts.weights}, parts.workspace, picture, soft.data());
    if (pause.stopped()) return Status(StatusCode::cancelled, "the picture is not wanted any more");
    if (!encoded.empty()) std::copy_n(parts.workspace.pooled, n_encoded, encoded.data());
    return n_soft;
}

}  // namespace gemlet
