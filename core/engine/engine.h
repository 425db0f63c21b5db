// A model opened and ready: mapped weights, chosen kernels, running workers. Immutable after
// opening and shared by all sessions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/engine/ceilings.h"
#include "core/model/checkpoint.h"
#include "core/model/config.h"
#include "core/status.h"
#include "kernels/attention/attention.h"
#include "kernels/isa.h"

namespace gemlet {

struct EngineOptions {
    size_t n_threads = 0;        // 0: one per physical core this process may use
    std::optional<Isa> isa_cap;  // use nothing beyond this instruction set
    size_t context = 0;          // positions; 0: the model's, at most kDefaultContext
    // None: int8 where the checkpoint brings scales for it (QAT mobile), else f16. An open engine's
    // options say which.
    std::optional<KvType> kv_type;
    size_t chunk = 512;              // prompt rows of one step
    size_t max_wanted = 1;           // rows of one step whose logits can be wanted
    size_t parallel = 1;             // conversations of a Batch: each has a KV cache of its own
    bool float_activations = false;  // do not quantise activations (QAT mobile always does)
    // The per-layer table is read whole at opening, instead of its rows when they are needed.
    bool ple_in_memory = false;
    uint64_t memory_limit_bytes = 0;  // 0: none
};

constexpr size_t kDefaultContext = 32768;

/// One line of the memory plan.
struct MemoryLine {
    std::string name;
    uint64_t bytes = 0;
    bool resident = true;  // false: mapped from the file, only touched rows become resident
};

/// What a model with these options takes when its context is full.
struct MemoryReport {
    std::vector<MemoryLine> lines;
    uint64_t resident_bytes = 0;
    size_t largest_context = 0;  // that fits the limit; 0 when nothing does or there is no limit
};

/// Facts for people and benchmarks.
struct EngineFacts {
    size_t n_threads = 0;
    Isa isa = Isa::scalar;                 // best set in use
    std::vector<std::string> kernels;      // "family/isa"
    uint64_t weight_bytes_per_token = 0;   // read for every decoded token, KV cache apart
    uint64_t prefill_multiplications = 0;  // per prompt row
    uint64_t decode_multiplications = 0;   // per decoded token
    bool kv_scales_divided = false;
    size_t n_uncalibrated = 0;
};

class AudioEncoder;
class Batch;
class Session;
class VisionEncoder;
struct EngineParts;  // core/engine/engine_parts.h: what sessions share

class Engine {
  public:
    /// Opens a Hugging Face directory or a GGUF file. Errors: any; `fault_file`, when given,
    /// receives the path of the file the error is about. A memory limit that cannot be kept is
    /// `out_of_memory` with the largest context that would fit as its number.
    static Result<std::unique_ptr<Engine>> open(const std::string& path,
                                                const EngineOptions& options,
                                                std::string* fault_file = nullptr);
    ~Engine();
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    const Checkpoint& checkpoint() const;
    const ModelConfig& config() const;
    const EngineOptions& options() const;  // with every zero filled in
    EngineFacts facts() const;
    MemoryReport memory() const;
    /// Measures the machine with the engine's own workers and instruction sets; takes about half a
    /// second, and 512 MB for its duration. Errors: `out_of_memory`.
    Result<Ceilings> measure_ceilings();

  private:
    friend class AudioEncoder;
    friend class Batch;
    friend class Session;
    friend class VisionEncoder;
    explicit Engine(std::unique_ptr<EngineParts> parts);
    std::unique_ptr<EngineParts> parts_;
};

/// What an engine would be, for looking at.
struct ModelPlan {
    Checkpoint checkpoint;
    EngineOptions options;  // with every zero filled in
    EngineFacts facts;
    MemoryReport memory;
};

/// Describes a model without making an engine: nothing is loaded, no thread started. Errors: as
/// Engine::open, except that an exceeded memory limit is no error.
Result<ModelPlan> plan_model(const std::string& path, const EngineOptions& options,
                             std::string* fault_file = nullptr);

}  // namespace gemlet
