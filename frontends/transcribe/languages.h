// Languages by their ISO 639-1 codes and English names.
#pragma once

#include <string>
#include <string_view>

#include "core/status.h"

namespace gemlet {

/// Returns the English name of a language given by code ("de", also "de-AT") or English name
/// ("german"), in any case. Errors: `bad_argument` for one that is not known.
Result<std::string> language_name(std::string_view code_or_name);

}  // namespace gemlet
