// Linux lists it in /proc/cpuinfo under "model name" (x86) or only in the device tree (ARM boards).
#include "frontends/cli/cpu_name.h"

#include <fstream>

namespace gemlet {

std::string cpu_name() {
    std::ifstream info("/proc/cpuinfo");
    std::string line;
    while (std::getline(info, line)) {
        if (line.rfind("model name", 0) != 0) continue;
        const size_t colon = line.find(": ");
        if (colon != std::string::npos) return line.substr(colon + 2);
    }
    std::ifstream board("/proc/device-tree/model");
    if (std::getline(board, line, '\0') && !line.empty()) return line;
    return "unknown CPU";
}

}  // namespace gemlet
