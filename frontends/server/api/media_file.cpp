// The path is judged after all links are followed, so that only what lies in the folder is read.
#include "frontends/server/api/media_file.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace gemlet::server {

MediaFileFault read_media_file(const std::string& folder, std::string_view path, size_t most_bytes,
                               std::vector<uint8_t>& bytes) {
    namespace fs = std::filesystem;
    const fs::path given(path);
    if (path.find('\0') != std::string_view::npos ||
        std::find(given.begin(), given.end(), fs::path("..")) != given.end()) {
        return MediaFileFault::outside;
    }
    std::error_code fault;
    const fs::path root = fs::canonical(folder, fault);
    if (fault) return MediaFileFault::missing;
    const fs::path real = fs::weakly_canonical(root / given, fault);  // one in full stays in full
    if (fault) return MediaFileFault::outside;  // nor is it told what is there
    const auto ends = std::mismatch(root.begin(), root.end(), real.begin(), real.end());
    if (ends.first != root.end()) return MediaFileFault::outside;
    if (!fs::is_regular_file(real, fault) || fault) return MediaFileFault::missing;
    std::ifstream file(real, std::ios::binary | std::ios::ate);
    const std::streamoff size = file ? static_cast<std::streamoff>(file.tellg()) : -1;
    if (size <= 0) return MediaFileFault::missing;
    if (static_cast<uint64_t>(size) > most_bytes) return MediaFileFault::too_large;
    bytes.resize(static_cast<size_t>(size));
    file.seekg(0);
    file.read(reinterpret_cast<char*>(bytes.data()), size);
    return file ? MediaFileFault::none : MediaFileFault::missing;
}

}  // namespace gemlet::server
