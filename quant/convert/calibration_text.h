// The calibration text that comes with the program: written for it, in the program's binary.
#pragma once

#include <string_view>

namespace gemlet {

/// English and other prose, code, lists, tables and chats with the model's own markup.
std::string_view calibration_text();

}  // namespace gemlet
