// Numbers beyond int64 are compared as doubles first, so that a huge one is out of range and not
// undefined.
#include "frontends/server/api/json_fields.h"

#include <charconv>
#include <cmath>

namespace gemlet::server {
namespace {

std::string range_text(double low, double high) {
    return "must be a number from " + Json::of_number(low).text + " to " +
           Json::of_number(high).text;
}

}  // namespace

const Json* JsonFields::find(std::string_view name) const {
    const Json* value = object_->find(name);
    return value == nullptr || value->is_null() ? nullptr : value;
}

void JsonFields::refuse(ApiError error) {
    if (error_.ok()) error_ = std::move(error);
}

void JsonFields::refuse(std::string_view name, const std::string& why) {
    const std::string full = prefix_ + std::string(name);
    refuse(bad_request(full + " " + why, full));
}

std::optional<bool> JsonFields::boolean(std::string_view name) {
    const Json* value = find(name);
    if (value == nullptr) return std::nullopt;
    if (value->is_bool()) return value->boolean;
    refuse(name, "must be true or false");
    return std::nullopt;
}

std::optional<int64_t> JsonFields::integer(std::string_view name, int64_t low, int64_t high) {
    const Json* value = find(name);
    if (value == nullptr) return std::nullopt;
    const std::string& text = value->text;
    int64_t number = 0;
    const auto end = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool exact =
        value->is_number() && end.ec == std::errc() && end.ptr == text.data() + text.size();
    if (exact && number >= low && number <= high) return number;
    refuse(name,
           "must be a whole number from " + std::to_string(low) + " to " + std::to_string(high));
    return std::nullopt;
}

std::optional<double> JsonFields::number(std::string_view name, double low, double high) {
    const Json* value = find(name);
    if (value == nullptr) return std::nullopt;
    if (value->is_number() && value->number >= low && value->number <= high) return value->number;
    refuse(name, range_text(low, high));
    return std::nullopt;
}

std::optional<std::string> JsonFields::string(std::string_view name) {
    const Json* value = find(name);
    if (value == nullptr) return std::nullopt;
    if (value->is_string()) return value->text;
    refuse(name, "must be a string");
    return std::nullopt;
}

const Json* JsonFields::object(std::string_view name) {
    const Json* value = find(name);
    if (value == nullptr || value->is_object()) return value;
    refuse(name, "must be an object");
    return nullptr;
}

const Json* JsonFields::array(std::string_view name) {
    const Json* value = find(name);
    if (value == nullptr || value->is_array()) return value;
    refuse(name, "must be an array");
    return nullptr;
}

}  // namespace gemlet::server
