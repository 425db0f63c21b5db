// Reads hyper-parameters out of one object of a config.json.
#pragma once

#include <cmath>
#include <cstddef>
#include <string>

#include "core/json.h"
#include "core/status.h"

namespace gemlet {

/// Reads members of one object; remembers the first fault.
class JsonReader {
  public:
    explicit JsonReader(const Json& object) : object_(object) {}

    bool has(const char* key) const {
        const Json* value = object_.find(key);
        return value != nullptr && !value->is_null();
    }
    size_t size(const char* key, size_t missing) {
        const Json* value = object_.find(key);
        if (value == nullptr || value->is_null()) return missing;
        if (!value->is_number() || !(value->number >= 0) || value->number > 1e9 ||
            value->number != std::floor(value->number)) {
            return fault<size_t>(key, "not a whole number");
        }
        return static_cast<size_t>(value->number);
    }
    float real(const char* key, float missing) {
        const Json* value = object_.find(key);
        if (value == nullptr || value->is_null()) return missing;
        if (!value->is_number()) return fault<float>(key, "not a number");
        return static_cast<float>(value->number);
    }
    bool flag(const char* key, bool missing) {
        const Json* value = object_.find(key);
        if (value == nullptr || value->is_null()) return missing;
        if (!value->is_bool()) return fault<bool>(key, "neither true nor false");
        return value->boolean;
    }
    std::string text(const char* key) {
        const Json* value = object_.find(key);
        if (value == nullptr || value->is_null()) return {};
        if (!value->is_string()) return fault<std::string>(key, "not a string");
        return value->text;
    }
    /// Null when missing.
    const Json* object(const char* key) {
        const Json* value = object_.find(key);
        if (value == nullptr || value->is_null()) return nullptr;
        return value->is_object() ? value : fault<const Json*>(key, "not an object");
    }
    Status status() const { return status_; }

  private:
    template <class T>
    T fault(const char* key, const char* reason) {
        if (status_.ok()) status_ = Status(StatusCode::corrupt, reason, key);
        return T{};
    }
    const Json& object_;
    Status status_;
};

}  // namespace gemlet
