// JSON documents as plain values: for configurations, chat messages and tool calls. Keeps the order
// of object members and the exact spelling of numbers, which prompts and templates depend on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/status.h"

namespace gemlet {

/// One JSON value; owns its children.
struct Json {
    enum class Kind : uint8_t { null, boolean, number, string, array, object };
    using Member = std::pair<std::string, Json>;

    Kind kind = Kind::null;
    bool boolean = false;
    bool is_integer = false;      // number: spelled without fraction and exponent
    double number = 0;            // number: nearest double
    std::string text;             // string: its UTF-8; number: as it was spelled
    std::vector<Json> items;      // array
    std::vector<Member> members;  // object, in document order, keys unique

    // Defined where the type is complete: a pair of an incomplete type must not be looked into.
    Json();
    ~Json();
    Json(const Json& other);
    Json(Json&& other) noexcept;
    Json& operator=(const Json& other);
    Json& operator=(Json&& other) noexcept;

    bool is_null() const { return kind == Kind::null; }
    bool is_bool() const { return kind == Kind::boolean; }
    bool is_number() const { return kind == Kind::number; }
    bool is_string() const { return kind == Kind::string; }
    bool is_array() const { return kind == Kind::array; }
    bool is_object() const { return kind == Kind::object; }

    /// Returns the member named `key`, or nullptr (also when this is no object).
    const Json* find(std::string_view key) const;

    static Json of(std::string_view text);
    static Json of_bool(bool value);
    static Json of_integer(int64_t value);
    static Json of_number(double value);  // shortest spelling that reads back the same
    static Json array();
    static Json object();
    /// Sets a member, replacing one of the same name; returns *this for chains.
    Json& set(std::string_view key, Json value);
};

/// What to do with an object that names a member twice.
enum class DuplicateKeys : uint8_t { reject, last_wins };

/// Parses one document (RFC 8259, UTF-8, nothing after it but white space).
/// Errors: `corrupt` with the byte offset; also on nesting deeper than 200 levels or bad UTF-8.
Result<Json> parse_json(std::string_view text, DuplicateKeys duplicates = DuplicateKeys::reject);

/// Writes a value as compact JSON. Numbers keep their spelling. `ascii` escapes everything beyond
/// ASCII as \uXXXX.
std::string write_json(const Json& value, bool ascii = false);

}  // namespace gemlet
