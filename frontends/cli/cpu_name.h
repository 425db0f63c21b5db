// The processor's name, for reports.
#pragma once

#include <string>

namespace gemlet {

/// As the system gives it ("AMD Ryzen 7 ..."); "unknown CPU" where it does not.
std::string cpu_name();

}  // namespace gemlet
