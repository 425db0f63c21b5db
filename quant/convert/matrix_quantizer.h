// One matrix from any stored type to another, a panel of rows at a time.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/model/weights.h"
#include "core/status.h"
#include "core/threads/thread_pool.h"
#include "quant/convert/error_feedback.h"
#include "quant/convert/scheme.h"
#include "quant/formats/weight_type.h"

namespace gemlet {

/// What is known about the inputs that a matrix meets; both optional.
struct InputKnowledge {
    const InputMoments* moments = nullptr;  // prepared
    std::span<const float> squares;         // [n_cols]
};

/// How to quantise one matrix.
struct MatrixJob {
    Matrix source;  // floats, or blocks that are quantised again
    WeightType type = WeightType::f32;
    Method method = Method::round;
    InputKnowledge inputs;
};

/// Receives rows [first, first + count): their bytes and, for per-row integers, their scales.
/// Returning anything but ok ends the work.
using PanelSink = std::function<Status(size_t first, size_t count, std::span<const uint8_t> rows,
                                       std::span<const float> scales)>;

/// Quantises all rows in order. A method that lacks what it needs falls back to the next simpler
/// one: gptq without moments to search, search without squares to equal weights. Memory: bounded
/// whatever the matrix' size; pages of the source are given back to the system.
/// Errors: `unsupported` for a type that cannot be written; what the sink returns.
Status quantize_matrix(const MatrixJob& job, ThreadPool& pool, const PanelSink& sink);

}  // namespace gemlet
