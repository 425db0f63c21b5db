// What Python's str type and Jinja's filters do to values, because the models' chat templates were
// written for them: strip, lower, upper, str(), truth, equality, sorted members.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "core/status.h"

namespace gemlet::chat {

/// Removes white space (all of Unicode's, as str.strip) at both ends, or at the start only. The
/// result points into `text`.
std::string_view python_strip(std::string_view text);
std::string_view python_lstrip(std::string_view text);

/// Maps case like str.lower and str.upper, for all of Unicode. Bytes that are not UTF-8 are kept.
std::string python_lower(std::string_view text);
std::string python_upper(std::string_view text);

/// Returns str(value): strings as they are, None, True, False, numbers as Python prints them (1.0,
/// 1e+20, integers exactly), lists and dictionaries with their contents quoted.
/// Errors: none; nesting is the caller's duty (see depth_within).
std::string python_str(const Json& value);

/// Returns bool(value); an absent value is false.
bool is_truthy(const Json* value);

/// Returns a == b by Python's rules: numbers and booleans by value, objects in any order; two
/// absent values are equal, an absent one equals null.
bool python_equal(const Json* a, const Json* b);

/// Returns the members of an object sorted by name without regard to case, stable (Jinja's
/// dictsort). The pointers live as long as the object.
std::vector<const Json::Member*> sorted_members(const Json& object);

/// Returns str() of what a Python loop over the value would visit: the elements of a list, the
/// keys of an object, the characters of a string.
/// Errors: `bad_argument` for everything else.
Result<std::vector<std::string>> element_texts(const Json& value);

/// Tells whether the value nests at most `limit` levels deep.
bool depth_within(const Json& value, size_t limit);

}  // namespace gemlet::chat
