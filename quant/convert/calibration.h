// Runs calibration prompts through the decoder one layer at a time, and gathers what the linears of
// the layer were given: the layers in front already have their quantised weights.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/model/checkpoint.h"
#include "core/model/weights.h"
#include "core/status.h"
#include "core/threads/thread_pool.h"
#include "quant/convert/error_feedback.h"
#include "quant/convert/magnitudes.h"

namespace gemlet {

/// One prompt: token ids, and soft tokens (of pictures and sounds) that stand in some places.
struct CalibrationPrompt {
    std::vector<int32_t> ids;
    std::vector<float> soft;       // [n_soft, d_model]
    std::vector<int32_t> soft_at;  // [ids.size()] row of `soft`, or -1
};

/// Longest prompt that is run; longer ones are cut.
constexpr size_t kCalibrationRows = 512;

/// Rows that are run of all prompts.
size_t rows_of(const std::vector<CalibrationPrompt>& prompts);

/// The distinct inputs of a layer's linears.
enum class LayerInput : uint8_t { attention, output, feed_forward, down, ple_gate, ple_projection };
constexpr size_t kLayerInputs = 6;

/// What one linear met on both sides; linears that read one input share its figures.
struct LinearRange {
    Magnitudes input;
    Magnitudes output;
};

/// The linears of a layer, in the order of LayerWeights.
enum class LayerLinear : uint8_t { q, k, v, o, gate, up, down, ple_gate, ple_projection };
constexpr size_t kLayerLinears = 9;

/// The matrix of a layer, and the input it reads.
Matrix& matrix_of(LayerWeights& layer, LayerLinear linear);
LayerInput input_of(LayerLinear linear);
/// The first of the linears that read the same input: it counts what is met there.
LayerLinear first_reader(LayerLinear linear);
/// Its name below "layers.N.", without ".weight".
const char* name_of(LayerLinear linear);

/// What a pass through one layer showed.
struct LayerStatistics {
    InputMoments inputs[kLayerInputs];         // Gram matrices, lower triangles
    std::vector<float> squares[kLayerInputs];  // [k] sums of squares
    std::vector<LinearRange> ranges;  // [kLayerLinears] if wanted; left alone where it is empty
    float largest_key = 0;            // after norm and rotation, as the cache holds them
    float largest_value = 0;
};

/// What to gather.
enum class Gather : uint8_t { nothing, squares, moments };

class CalibrationRunner {
  public:
    /// Opens kernels and workers, and takes the memory for the prompts' residual streams and KV
    /// caches. `weights` is used, and may be changed between calls, until the runner ends. With
    /// `exact`, the weights as they are in the source, prompts run through these as well, and
    /// moments are gathered with the drift between the two.
    static Result<std::unique_ptr<CalibrationRunner>> create(const ModelConfig& config,
                                                             TextWeights& weights, ThreadPool& pool,
                                                             std::vector<CalibrationPrompt> prompts,
                                                             const TextWeights* exact = nullptr);
    ~CalibrationRunner();
    CalibrationRunner(const CalibrationRunner&) = delete;
    CalibrationRunner& operator=(const CalibrationRunner&) = delete;

    /// Runs all prompts through a layer and gathers what its linears met. Streams stay in front of
    /// the layer. The weights of the layer are floats. Errors: `cancelled`.
    Status observe(size_t layer, Gather gather, LayerStatistics& out);
    /// Runs all prompts through a layer for good: streams are behind it afterwards.
    Status advance(size_t layer);
    /// Sums of squares [d] and Gram matrix of what the head reads; streams are behind all layers.
    Status observe_head(Gather gather, InputMoments& moments, std::vector<float>& squares);

    void set_cancel(const std::atomic<bool>* cancel);

  private:
    struct Parts;
    explicit CalibrationRunner(std::unique_ptr<Parts> parts);
    std::unique_ptr<Parts> parts_;
};

}  // namespace gemlet
