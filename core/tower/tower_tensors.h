// Finds the tensors of a vision or audio encoder by name, checks type and shape, and hands out
// matrices and vectors. Remembers the first fault, so that a list of bindings reads as a list.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/files/tensor_file.h"
#include "core/json.h"
#include "core/model/weights.h"
#include "core/status.h"
#include "core/tower/tower_linear.h"

namespace gemlet {

/// What binding a tower collects besides its matrices.
struct TowerStore {
    std::vector<std::unique_ptr<float[]>> vectors;  // what float pointers point into
    size_t weight_bytes = 0;                        // read for every picture or sound
    size_t n_uncalibrated = 0;                      // QAT mobile: activation sides without a scale
};

class TowerTensors {
  public:
    /// `tensors` sorted by name. `quantization` is config.json's quantization_config of a QAT
    /// mobile checkpoint, else null. All must outlive this object.
    TowerTensors(std::span<const TensorView> tensors, const Json* quantization, TowerStore& store)
        : tensors_(tensors), quantization_(quantization), store_(store) {}

    const TensorView* find(std::string_view name) const { return find_tensor(tensors_, name); }
    bool has(std::string_view name) const { return find(name) != nullptr; }
    /// A tensor that must be there.
    const TensorView* require(const std::string& name);
    /// A weight [n_rows, n_cols], float or block; QAT mobile: per-row integers with their scales
    /// beside it (NAME_scale; input_activation_scale and output_activation_scale of the module).
    Matrix matrix(const std::string& name, size_t n_rows, size_t n_cols);
    /// The same for a tensor of any shape with as many elements, which must be float.
    Matrix table(const std::string& name, std::initializer_list<size_t> shape, size_t n_cols);
    /// A product's weight, wrapped (MODULE.linear.weight) or not, with bounds where the file has
    /// them (MODULE.input_min, input_max, output_min, output_max).
    TowerLinear linear(const std::string& module, size_t n_rows, size_t n_cols);
    /// Sets the bounds of a linear; `name` for messages.
    void set_bounds(TowerLinear& linear, float in_min, float in_max, float out_min, float out_max,
                    const std::string& name);
    /// A vector of n finite floats, widened from its stored type.
    const float* vector(const std::string& name, size_t n);
    /// A single number; `missing` when there is no such tensor. Infinities are allowed.
    float scalar(const std::string& name, float missing);

    /// What Hugging Face names of towers begin with, which differs in files of different age;
    /// `probe` is a name that must be there.
    std::string root(const std::string& probe) const;

    void fail(Status status) {
        if (status_.ok()) status_ = status;
    }
    void fault(const TensorView& tensor, StatusCode code, const char* text,
               int64_t number = Status::kNoNumber);
    Status status() const { return status_; }
    /// The file of the tensor at fault (TensorView::file_index); meaningful with a fault in one.
    const TensorView* faulty() const { return faulty_; }

  private:
    Matrix plain(const TensorView& tensor, size_t n_rows, size_t n_cols);
    Matrix row_integers(const TensorView& tensor, const std::string& module, size_t n_rows,
                        size_t n_cols);
    const uint8_t* row_scales(const std::string& name, size_t n);
    float activation_scale(const std::string& name);
    bool widen(const TensorView& tensor, size_t n, float* out);

    std::span<const TensorView> tensors_;
    const Json* quantization_;
    TowerStore& store_;
    Status status_;
    const TensorView* faulty_ = nullptr;
};

}  // namespace gemlet
