// Opening in order: file, hyper-parameters, weights, memory. Whatever can fail fails before memory
// is taken. A whole sound is a stream of one piece.
#include "core/audio/audio_encoder.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/audio/encode.h"
#include "core/engine/engine_parts.h"
#include "core/guard.h"
#include "core/tower/quantised_tower.h"
#include "core/tower/tower_files.h"

namespace gemlet {
namespace {

constexpr size_t kMostFrames = size_t{1} << 16U;  // computed at once

Status bad(const char* text, size_t number) {
    return {StatusCode::bad_argument, text, "sound", static_cast<int64_t>(number)};
}

}  // namespace

struct AudioEncoder::Parts {
    EngineParts* engine = nullptr;
    TowerFiles files;
    AudioOptions options;  // with zeros filled in
    AudioConfig config;
    AudioWeights weights;
    AudioWorkspace workspace;
    QuantisedTower quantised;
    Arena arena;
    bool quantises = false;  // and the layers' matrices in the file are not read any more

    MemoryPlan plan(const Kernels& kernels, size_t n_workers);
    MemoryReport report(const MemoryPlan& plan) const;
    TowerCompute compute() const;
    void prepare_distances();
    Status check(std::span<const float> frames, size_t n_frames) const;
    SoundPiece next_piece(const SoundPiece& rest) const;
};

MemoryPlan AudioEncoder::Parts::plan(const Kernels& kernels, size_t n_workers) {
    MemoryPlan out;
    workspace.plan(config, {config.soft_tokens(options.max_frames), n_workers}, kernels, out);
    if (quantises) {
        quantised.plan("audio: int8 weights", "audio: int8 scales", weights.layer_linears(), out);
    }
    return out;
}

MemoryReport AudioEncoder::Parts::report(const MemoryPlan& plan) const {
    MemoryReport out;
    if (!quantises) out.lines.push_back({"audio: weights", weights.store.weight_bytes, true});
    for (const PlanRow& row : plan.rows()) out.lines.push_back({row.name, row.bytes, true});
    for (const MemoryLine& line : out.lines) out.resident_bytes += line.bytes;
    if (const size_t mapped = files.mapped_bytes(); mapped != 0) {
        out.lines.push_back({"the mmproj file", mapped, false});
    }
    return out;
}

TowerCompute AudioEncoder::Parts::compute() const {
    return {engine->kernels,         *engine->pool,
            workspace.packed,        workspace.scratch,
            workspace.scratch_bytes, options.precision == TowerPrecision::in_float};
}

/// They are part of the weights, so they are computed in float from whatever the file has.
void AudioEncoder::Parts::prepare_distances() {
    TowerCompute in_float = compute();
    in_float.blocks_in_float = true;
    const std::lock_guard<TurnLock> lock(engine->one_step);
    gemlet::prepare_distances(in_float, {config, weights}, workspace);
}

Result<std::unique_ptr<AudioEncoder::Parts>> AudioEncoder::prepare(const Checkpoint& checkpoint,
                                                                   const std::string& mmproj,
                                                                   const AudioOptions& options,
                                                                   std::string* fault_file) {
    std::string unused;
    std::string& fault = fault_file != nullptr ? *fault_file : unused;
    auto parts = std::make_unique<Parts>();
    fault = mmproj.empty() ? checkpoint.path() : mmproj;
    Result<TowerFiles> files = TowerFiles::open(checkpoint, mmproj);
    GEMLET_TRY(files);
    parts->files = std::move(*files);
    const GgufFile* gguf = parts->files.gguf();
    const size_t text_width = checkpoint.config().d_model;
    const Result<AudioConfig> config =
        gguf != nullptr ? audio_config_from_gguf(*gguf, text_width)
                        : audio_config_from_json(checkpoint.config_json(), text_width);
    GEMLET_TRY(config);
    parts->config = *config;
    parts->options = options;
    if (options.max_frames == 0) parts->options.max_frames = config->longest_frames();
    if (options.max_frames > kMostFrames) {
        return bad("more frames at once than memory may be planned for", options.max_frames);
    }
    const TensorView* faulty = nullptr;
    Result<AudioWeights> weights =
        bind_audio_weights(parts->files.source(), parts->config, &faulty);
    if (!weights && faulty != nullptr) fault = parts->files.path_of(*faulty, fault);
    GEMLET_TRY(weights);
    parts->weights = std::move(*weights);
    parts->quantises = options.precision == TowerPrecision::int8 &&
                       QuantisedTower::applies(parts->weights.layer_linears());
    return parts;
}

AudioEncoder::AudioEncoder(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
AudioEncoder::~AudioEncoder() = default;

Result<std::unique_ptr<AudioEncoder>> AudioEncoder::open(Engine& engine, const std::string& mmproj,
                                                         const AudioOptions& options,
                                                         std::string* fault_file) {
    return guard([&]() -> Result<std::unique_ptr<AudioEncoder>> {
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
                          "model and audio encoder do not fit the memory limit; they take (bytes)",
                          "--memory", static_cast<int64_t>(wanted));
        }
        Result<Arena> arena = Arena::allocate(plan);
        GEMLET_TRY(arena);
        parts.arena = std::move(*arena);
        if (parts.quantises) parts.quantised.fill(parts.weights.layer_linears());
        parts.prepare_distances();
        parts.workspace.reset(parts.config);
        return std::unique_ptr<AudioEncoder>(new AudioEncoder(std::move(*prepared)));
    });
}

Result<MemoryReport> plan_audio(const ModelPlan& model, const std::string& mmproj,
                                const AudioOptions& options, std::string* fault_file) {
    return guard([&]() -> Result<MemoryReport> {
        auto prepared = AudioEncoder::prepare(model.checkpoint, mmproj, options, fault_file);
        GEMLET_TRY(prepared);
        IsaSet isas = detect_isas();
        if (model.options.isa_cap) isas = cap_isas(isas, *model.options.isa_cap);
        return (*prepared)->report(
            (*prepared)->plan(select_kernels(isas), model.options.n_threads));
    });
}

const AudioConfig& AudioEncoder::config() const noexcept { return parts_->config; }

size_t AudioEncoder::max_frames() const noexcept { return parts_->options.max_frames; }

MemoryReport AudioEncoder::memory() const {
    Parts& parts = *parts_;
    // Planning sets no pointers; but sizes of the workspace are written again, to the same values.
    return parts.report(parts.plan(parts.engine->kernels, parts.engine->pool->n_workers()));
}

Status AudioEncoder::Parts::check(std::span<const float> frames, size_t n_frames) const {
    if (n_frames > std::numeric_limits<size_t>::max() / sizeof(float) / config.frame_width ||
        frames.size() != n_frames * config.frame_width) {
        return bad("values are not as many as frames times their width", frames.size());
    }
    const auto finite = [](float value) { return std::isfinite(value); };
    const auto odd = std::find_if_not(frames.begin(), frames.end(), finite);
    if (odd != frames.end()) {
        return bad("value is not finite", static_cast<size_t>(odd - frames.begin()));
    }
    return {};
}

/// As much of the rest as finishes no more tokens than the workspace has room for.
SoundPiece AudioEncoder::Parts::next_piece(const SoundPiece& rest) const {
    if (tokens_of(config, workspace, rest) <= workspace.max_soft) return rest;
    const size_t room = workspace.max_soft * config.frames_per_token() - workspace.n_waiting;
    return {rest.frames, room, false};
}

Result<size_t> AudioEncoder::encode(std::span<const float> frames, size_t n_frames,
                                    std::span<float> soft, std::span<float> encoded,
                                    const std::function<bool()>& cancelled) noexcept {
    Parts& parts = *parts_;
    const AudioConfig& config = parts.config;
    GEMLET_TRY(parts.check(frames, n_frames));
    if (n_frames == 0) return bad("sound has no frames", n_frames);
    if (n_frames > parts.options.max_frames) {
        return bad("sound has more frames than memory was planned for", n_frames);
    }
    const size_t n = config.soft_tokens(n_frames);
    const size_t n_encoded = n * config.output_width;
    if (soft.size() < n * config.text_width || (!encoded.empty() && encoded.size() < n_encoded)) {
        return bad("no room for the soft tokens", n);
    }
    const std::lock_guard<TurnLock> lock(parts.engine->one_step);
    const AffinityScope pinned = parts.engine->pool->pin_caller();
    parts.workspace.reset(config);
    TowerPause pause(parts.engine->one_step, cancelled);
    TowerCompute compute = parts.compute();
    compute.pause = &pause;
    encode_piece(compute, {config, parts.weights}, parts.workspace, {frames.data(), n_frames, true},
                 soft.data());
    if (!encoded.empty()) std::copy_n(parts.workspace.encoded(), n_encoded, encoded.data());
    parts.workspace.reset(config);
    if (pause.stopped()) return Status(StatusCode::cancelled, "the sound is not wanted any more");
    return n;
}

void AudioEncoder::reset() noexcept { parts_->workspace.reset(parts_->config); }

size_t AudioEncoder::pending_tokens(size_t n_frames, bool last) const noexcept {
    return tokens_of(parts_->config, parts_->workspace, {nullptr, n_frames, last});
}

Result<size_t> AudioEncoder::push(std::span<const float> frames, size_t n_frames, bool last,
                                  std::span<float> soft) noexcept {
    Parts& parts = *parts_;
    const AudioConfig& config = parts.config;
    GEMLET_TRY(parts.check(frames, n_frames));
    SoundPiece rest{frames.data(), n_frames, last};
    const size_t n = tokens_of(config, parts.workspace, rest);
    if (soft.size() / config.text_width < n) return bad("no room for the soft tokens", n);
    const std::lock_guard<TurnLock> lock(parts.engine->one_step);
    const AffinityScope pinned = parts.engine->pool->pin_caller();
    const std::function<bool()> never;
    TowerPause pause(parts.engine->one_step, never);
    TowerCompute compute = parts.compute();
    compute.pause = &pause;
    size_t n_done = 0;
    for (bool more = true; more;) {
        const SoundPiece piece = parts.next_piece(rest);
        more = piece.n_frames < rest.n_frames || piece.last != rest.last;
        n_done += encode_piece(compute, {config, parts.weights}, parts.workspace, piece,
                               soft.data() + n_done * config.text_width);
        rest.frames += piece.n_frames * config.frame_width;
        rest.n_frames -= piece.n_frames;
    }
    if (last) parts.workspace.reset(config);
    return n_done;
}

}  // namespace gemlet
