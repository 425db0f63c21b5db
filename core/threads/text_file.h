// Small text files of the kernel (procfs, sysfs, cgroups), whose sizes are not known beforehand.
#pragma once

#include <optional>
#include <string>

namespace gemlet {

/// Returns the file's first 64 KiB without trailing white space, or nothing when it cannot be read.
std::optional<std::string> read_text_file(const std::string& path);

}  // namespace gemlet
