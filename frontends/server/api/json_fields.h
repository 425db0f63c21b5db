// Members of a request, one by one, each checked for its type and range; the first that is wrong is
// what the request is refused with. A member that is null counts as absent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/json.h"
#include "frontends/server/api/api_error.h"

namespace gemlet::server {

class JsonFields {
  public:
    /// `prefix` stands before the names in errors ("stream_options.").
    explicit JsonFields(const Json& object, std::string prefix = {})
        : object_(&object), prefix_(std::move(prefix)) {}

    /// The member, or null where it is absent or null.
    const Json* find(std::string_view name) const;
    std::optional<bool> boolean(std::string_view name);
    std::optional<int64_t> integer(std::string_view name, int64_t low, int64_t high);
    std::optional<double> number(std::string_view name, double low, double high);
    std::optional<std::string> string(std::string_view name);
    /// An object or an array; null where it is absent.
    const Json* object(std::string_view name);
    const Json* array(std::string_view name);

    /// Refuses the request, unless it is refused already.
    void refuse(std::string_view name, const std::string& why);
    void refuse(ApiError error);
    bool ok() const { return error_.ok(); }
    const ApiError& error() const { return error_; }

  private:
    const Json* object_;
    std::string prefix_;
    ApiError error_;
};

}  // namespace gemlet::server
