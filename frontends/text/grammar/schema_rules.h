// JSON schemas as grammar rules for values in the syntax of tool calls.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"

namespace gemlet {

/// Writes rules; one for each schema it is asked for. One thread.
class SchemaRules {
  public:
    /// Begins with a function: where its local references point, and how exact it must be.
    void begin(const Json& root, bool strict);
    /// Returns an expression of the grammar for a value that a schema describes.
    std::string value(const Json& schema);
    /// The same for the arguments of a call, which are an object whatever the schema says.
    std::string arguments(const Json& schema);

    /// All rules so far, those of free values included.
    std::string text() const;
    /// What a strict schema said that cannot be kept; the first of it.
    const std::string& fault() const { return fault_; }

  private:
    struct Entry {
        std::string key;    // expression
        std::string value;  // expression
        bool required = false;
    };
    std::string add_rule(std::string_view prefix, const std::string& body);
    std::string refuse(const std::string& what);
    std::string typed(const Json& schema, std::string_view type);
    std::string string_value(const Json& schema);
    std::string number_value(const Json& schema, std::string_view type);
    std::string array_value(const Json& schema);
    std::string object_value(const Json& schema);
    std::string object_rules(const std::vector<Entry>& entries, const std::string& more);
    std::string more_members(const Json& schema, const Json* properties);
    std::string any_of(const Json& schema, const Json& branches);
    std::string reference(const Json& schema, const std::string& target);
    std::string literal(const Json& value);
    void check_keywords(const Json& schema);

    const Json* root_ = nullptr;
    bool strict_ = false;
    size_t depth_ = 0;
    size_t n_rules_ = 0;
    std::string rules_;
    std::string fault_;
    std::map<std::string, std::string> references_;  // of this function, by target
};

/// A string of the grammar that stands for this text.
std::string grammar_literal(std::string_view text);

}  // namespace gemlet
