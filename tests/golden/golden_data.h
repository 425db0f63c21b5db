// Where models and their reference results lie: results always in tests/data/golden, models in the
// large reference data if it is there, else the few copies beside the results.
#pragma once

#include <cstdint>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "core/files/safetensors.h"

namespace gemlet::test {

/// One model file and the name its results are stored under.
struct GoldenModel {
    const char* folder;   // "e2b-tiny"
    const char* variant;  // "bf16", "q4_0": prefix of the results
    const char* file;     // within the folder; a directory for safetensors
    bool is_block;        // has block-quantised weights
};

/// Every text model with results. Print name: "e2b_tiny_q4_0".
std::span<const GoldenModel> golden_models();
std::string golden_name(const GoldenModel& model);
/// Path of the model to open; empty when it is neither in the reference data nor copied.
std::string golden_model_path(const GoldenModel& model);
/// Path of the QAT mobile checkpoint; `full` tells whether it is the one with the towers.
std::string golden_qat_path();
/// Path below the large reference data, empty when it is not there.
std::string shared_path(const std::string& relative);

inline std::ostream& operator<<(std::ostream& out, const GoldenModel& model) {
    return out << golden_name(model);
}

/// Stored results, by name.
class Goldens {
  public:
    /// Opens tests/data/golden/FOLDER/FILE; fails the test when it cannot.
    explicit Goldens(const std::string& folder, const std::string& file = "goldens.safetensors");

    bool has(const std::string& name) const;
    std::vector<float> floats(const std::string& name) const;
    std::vector<int32_t> ints(const std::string& name) const;
    std::vector<int8_t> codes(const std::string& name) const;
    std::vector<uint8_t> bytes(const std::string& name) const;
    std::span<const TensorView> tensors() const { return files_->tensors(); }

  private:
    template <class T>
    std::vector<T> read(const std::string& name, RawType raw) const;
    std::optional<SafetensorsFiles> files_;
};

}  // namespace gemlet::test
