// Plain read calls: sizes reported for these files are wrong, and a directory must not be an error
// that throws.
#include "core/threads/text_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>

namespace gemlet {

std::optional<std::string> read_text_file(const std::string& path) {
    constexpr size_t kMaxBytes = 65536;
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return std::nullopt;
    std::string text;
    std::array<char, 4096> buffer{};
    ssize_t n_read = 0;
    while (text.size() < kMaxBytes && (n_read = ::read(file, buffer.data(), buffer.size())) > 0) {
        text.append(buffer.data(), static_cast<size_t>(n_read));
    }
    ::close(file);
    if (n_read < 0) return std::nullopt;
    text.resize(text.find_last_not_of(" \t\r\n") + 1);
    return text;
}

}  // namespace gemlet
