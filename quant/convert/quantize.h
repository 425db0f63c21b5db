// A checkpoint in, a smaller one out.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/model/checkpoint.h"
#include "core/status.h"
#include "quant/convert/calibration.h"
#include "quant/convert/scheme.h"

namespace gemlet {

/// What a GGUF file says about the vocabulary; only needed where the source is a directory. Arrays
/// are by token id; roles of -1 are left out.
struct GgufVocabulary {
    std::vector<std::string> tokens;
    std::vector<int32_t> types;  // numbers of the GGUF specification
    std::vector<std::string> merges;
    int32_t bos = -1, eos = -1, unknown = -1, padding = -1, mask = -1;
    std::vector<int32_t> suppressed;
    std::string chat_template;
};

struct QuantizeOptions {
    Scheme scheme;
    Method method = Method::search;
    size_t n_threads = 0;  // 0: one per physical core
    bool resume = false;   // keep what is complete when stopped, and go on from it
    float damping = 0.01F;
    const std::atomic<bool>* cancel = nullptr;
    /// Weights done so far, of all.
    void (*progress)(void* context, size_t done, size_t total) = nullptr;
    void* context = nullptr;
};

/// What a conversion did.
struct QuantizeReport {
    uint64_t source_bytes = 0;
    uint64_t bytes = 0;
    size_t n_tensors = 0;
    size_t n_quantised = 0;  // tensors that became blocks or codes
    size_t n_calibration_rows = 0;
};

/// Writes `source`, quantised, as the GGUF file `path`. Its tensors are read and written one after
/// the other; with calibration prompts the linears of a layer are quantised together, by what the
/// prompts show when the layers in front are quantised already.
/// Errors: `unsupported` (a QAT mobile source, a method or scheme that this build lacks), `io` (the
/// disk), `cancelled`; without options.resume nothing is left behind.
Result<QuantizeReport> quantize_to_gguf(const Checkpoint& source, const std::string& path,
                                        const QuantizeOptions& options,
                                        std::vector<CalibrationPrompt> prompts,
                                        const GgufVocabulary* vocabulary);

}  // namespace gemlet
