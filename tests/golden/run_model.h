// Runs prompts through an engine, and compares logits.
#pragma once

#include <cstdint>
#include <memory>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "core/engine/engine.h"
#include "core/engine/session.h"

namespace gemlet {

/// How GoogleTest prints an instruction set.
inline void PrintTo(Isa isa, std::ostream* out) { *out << isa_name(isa); }

}  // namespace gemlet

namespace gemlet::test {

/// How a model is run.
struct RunOptions {
    Isa isa = Isa::scalar;
    size_t n_threads = 1;
    size_t chunk = 512;
    KvType kv = KvType::f32;
    bool in_float = true;
    size_t context = 512;
};
std::string describe(const RunOptions& options);

/// Opens a model; null, with a failed test, when that goes wrong.
std::unique_ptr<Engine> open_engine(const std::string& path, const RunOptions& options);
std::unique_ptr<Session> new_session(Engine& engine);

std::vector<PromptRow> prompt_rows(std::span<const int32_t> ids);

/// Logits [n_ids, vocab] of every position, in steps of at most `chunk` rows.
std::vector<float> all_logits(const std::string& path, const RunOptions& options,
                              std::span<const int32_t> ids);
/// Logits [vocab] of the last position: the rows before it stop after the last layer that writes
/// keys and values.
std::vector<float> last_logits(const std::string& path, const RunOptions& options,
                               std::span<const int32_t> ids);

/// How two blocks of logits differ. Rows of `vocab`.
struct Difference {
    double largest = 0;          // absolute
    double mean = 0;             // absolute
    double cosine = 1;           // of everything
    double smallest_cosine = 1;  // of a row
    size_t n_wrong_best = 0;     // rows whose largest logit moved although its margin exceeds 0.5
};
Difference compare(std::span<const float> logits, std::span<const float> reference, size_t vocab);

/// The rows of `logits` that `rows` names.
std::vector<float> pick_rows(std::span<const float> logits, std::span<const int32_t> rows,
                             size_t vocab);
bool same_bits(std::span<const float> a, std::span<const float> b);
size_t argmax(std::span<const float> logits);

/// Sets this machine lacks are skipped by tests.
bool has_isa(Isa isa);
/// The instruction sets that golden tests cap engines at, best last.
std::vector<Isa> golden_isas();

}  // namespace gemlet::test
