// Reads hyper-parameters out of GGUF metadata whose keys share a prefix.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "core/files/gguf.h"
#include "core/status.h"

namespace gemlet {

/// Remembers the first fault.
class GgufReader {
  public:
    GgufReader(const GgufFile& file, std::string_view prefix) : file_(file), prefix_(prefix) {}

    const GgufValue* find(const char* key) const { return file_.find(prefix_ + key); }
    size_t size(const char* key, size_t missing) {
        const GgufValue* value = find(key);
        if (value == nullptr) return missing;
        const auto number = value->as_integer();
        if (!number || *number < 0) return fault<size_t>(key, "not a whole number");
        return static_cast<size_t>(*number);
    }
    size_t required_size(const char* key) {
        if (find(key) == nullptr) return fault<size_t>(key, "missing from the metadata");
        return size(key, 0);
    }
    float real(const char* key, float missing) {
        const GgufValue* value = find(key);
        if (value == nullptr) return missing;
        const auto number = value->as_number();
        if (!number) return fault<float>(key, "not a number");
        return static_cast<float>(*number);
    }
    /// One number per layer; a scalar stands for all of them.
    std::vector<size_t> per_layer(const char* key, size_t n_layers) {
        const GgufValue* value = find(key);
        if (value == nullptr) {
            fault<size_t>(key, "missing from the metadata");
            return std::vector<size_t>(n_layers);
        }
        const auto numbers = value->as_integers();
        if (!numbers || (value->type == GgufType::array && numbers->size() != n_layers) ||
            numbers->empty()) {
            fault<size_t>(key, "not one whole number per layer");
            return std::vector<size_t>(n_layers);
        }
        std::vector<size_t> out(n_layers);
        for (size_t i = 0; i < n_layers; ++i) {
            const int64_t number = value->type == GgufType::array ? (*numbers)[i] : (*numbers)[0];
            out[i] = number < 0 ? fault<size_t>(key, "negative") : static_cast<size_t>(number);
        }
        return out;
    }
    Status status() const { return status_; }

  private:
    template <class T>
    T fault(const char* key, const char* reason) {
        if (status_.ok()) status_ = Status(StatusCode::corrupt, reason, key);
        return T{};
    }
    const GgufFile& file_;
    std::string prefix_;
    Status status_;
};

}  // namespace gemlet
