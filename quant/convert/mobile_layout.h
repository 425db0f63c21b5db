// The tensors of a mobile checkpoint: names, widths and places, known before the first weight is
// read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/model/checkpoint.h"
#include "core/model/weights.h"
#include "core/status.h"
#include "quant/convert/calibration.h"
#include "quant/convert/mobile_towers.h"
#include "quant/convert/safetensors_writer.h"
#include "quant/convert/scheme.h"

namespace gemlet {

/// The integers that hold codes of so many bits.
WeightType row_type(size_t bits);

/// Bits of a layer's linear.
size_t mobile_bits(const Scheme& scheme, const ModelConfig& model, size_t layer,
                   LayerLinear linear);

/// What goes where in model.safetensors.
class MobileLayout {
  public:
    /// Plans the file for `source`, whose weights are `weights`. Errors: `unsupported` for names
    /// and types that are not those of a whole model in floats.
    Status plan(const Checkpoint& source, const Scheme& scheme, const TextWeights& weights);

    /// Whether a tensor of the source is written in another form, or not at all.
    bool is_replaced(const std::string& name) const;
    /// A tensor of the file; it must be there.
    const SafetensorsTensor& tensor(const std::string& name) const;
    /// Module names: of a layer's linear, of its attention, of the text model's other parts.
    std::string linear(size_t layer, LayerLinear linear) const;
    std::string attention(size_t layer) const;
    std::string embedding() const { return prefix_ + "embed_tokens"; }
    std::string ple_table() const { return prefix_ + "embed_tokens_per_layer"; }

    const std::vector<TowerModule>& towers() const { return towers_; }
    /// All bytes in front of the first tensor's.
    const std::vector<uint8_t>& front() const { return front_; }
    uint64_t file_bytes() const { return file_bytes_; }
    uint64_t source_bytes() const { return source_bytes_; }
    size_t n_tensors() const { return tensors_.size(); }
    size_t n_quantised() const { return n_quantised_; }
    /// Weights that become codes.
    size_t n_weights() const { return n_weights_; }

  private:
    void add(const std::string& name, const char* dtype, std::vector<size_t> shape, size_t n_bytes);
    void add_linear(const std::string& module, const Matrix& matrix, size_t bits);
    void add_table(const std::string& module, const Matrix& rows, size_t n_blocks);
    void add_layer(const ModelConfig& config, const Scheme& scheme, const LayerWeights& weights,
                   size_t layer);

    std::string prefix_;
    std::vector<TowerModule> towers_;
    std::vector<SafetensorsTensor> tensors_;  // by name
    std::vector<uint8_t> front_;
    uint64_t file_bytes_ = 0;
    uint64_t source_bytes_ = 0;
    size_t n_quantised_ = 0;
    size_t n_weights_ = 0;
};

}  // namespace gemlet
