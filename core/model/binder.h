// Finds tensors by name, checks type and shape, and hands out matrices and vectors. Remembers the
// first fault, so that a list of bindings reads as a list.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "core/model/weights.h"

namespace gemlet {

class Binder {
  public:
    Binder(const Checkpoint& checkpoint, TextWeights& weights)
        : checkpoint_(checkpoint), weights_(weights) {}

    /// Whether the checkpoint has this tensor.
    bool has(const std::string& name) const { return checkpoint_.find(name) != nullptr; }
    /// A linear layer's weight: `module` + ".weight" [n_rows, n_cols], float, block or per-row
    /// integers.
    Matrix linear(const std::string& module, size_t n_rows, size_t n_cols);
    /// A stack [n_experts, n_rows, n_cols] as a matrix of n_experts * n_rows rows.
    Matrix stack(const std::string& name, size_t n_experts, size_t n_rows, size_t n_cols);
    /// A vector of n floats, widened from its stored type.
    const float* vector(const std::string& name, size_t n);
    /// A single number; `missing` when there is no such tensor.
    float scalar(const std::string& name, float missing);
    /// The same for a scale: what is there must be above zero.
    float positive_scalar(const std::string& name, float missing);
    /// An embedding table [n_rows, n_cols] with its scale per block, if it has one.
    EmbeddingTable table(const std::string& module, size_t n_rows, size_t n_cols, float factor);

    /// Counts a matrix or vector among the bytes read for every token.
    void count_always(size_t bytes) { weights_.bytes.always += bytes; }
    void count_looked_up(size_t bytes) { weights_.bytes.looked_up += bytes; }
    void fail(Status status) {
        if (status_.ok()) status_ = status;
    }
    Status status() const { return status_; }
    /// The file of the tensor at fault; empty when the tensor is missing.
    const std::string& fault_file() const { return fault_file_; }

  private:
    void fault(const TensorView& tensor, StatusCode code, const char* text,
               int64_t number = Status::kNoNumber);
    const TensorView* require(const std::string& name);
    Matrix plain(const TensorView& tensor, size_t n_rows, size_t n_cols);
    Matrix row_integers(const TensorView& tensor, const std::string& module, size_t n_rows,
                        size_t n_cols);
    const uint8_t* scales(const std::string& name, size_t n, bool check_all);
    float activation_scale(const std::string& name);
    void check_declared_bits(const std::string& module, size_t bits);

    const Checkpoint& checkpoint_;
    TextWeights& weights_;
    Status status_;
    std::string fault_file_;
};

}  // namespace gemlet
