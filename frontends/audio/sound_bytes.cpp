// Plain reads at an offset, so that several readers of one file would not be in each other's way.
#include "frontends/audio/sound_bytes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/files/mapped_file.h"

namespace gemlet::audio {
Result<std::unique_ptr<SoundBytes>> SoundBytes::open(const std::string& path) {
    if (path.find('\0') != std::string::npos) {
        return Status(StatusCode::bad_argument, "path holds a NUL byte", path);
    }
    std::unique_ptr<SoundBytes> bytes(new SoundBytes);
    bytes->name_ = path;
    // Not blocking: a pipe without a writer must be refused, not waited for.
    bytes->descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (bytes->descriptor_ < 0) return file_open_error(errno, path);
    struct stat facts {};
    if (fstat(bytes->descriptor_, &facts) != 0) {
        return Status(StatusCode::io, "cannot read the file's size", path, errno);
    }
    if (!S_ISREG(facts.st_mode)) {
        return Status(StatusCode::unsupported, "not a regular file", path);
    }
    if (facts.st_size <= 0) return Status(StatusCode::corrupt, "the file is empty", path);
    bytes->size_ = static_cast<uint64_t>(facts.st_size);
    return bytes;
}

Result<std::unique_ptr<SoundBytes>> SoundBytes::of_memory(std::span<const uint8_t> memory) {
    if (memory.empty()) return Status(StatusCode::corrupt, "no bytes at all", "sound");
    std::unique_ptr<SoundBytes> bytes(new SoundBytes);
    bytes->name_ = "sound";
    bytes->memory_ = memory;
    bytes->size_ = memory.size();
    return bytes;
}

SoundBytes::~SoundBytes() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

size_t SoundBytes::read_at(uint64_t offset, std::span<uint8_t> out) {
    if (offset >= size_) return 0;
    const size_t n_wanted = std::min<uint64_t>(out.size(), size_ - offset);
    if (n_wanted == 0) return 0;
    if (descriptor_ < 0) {
        std::memcpy(out.data(), memory_.data() + offset, n_wanted);
        return n_wanted;
    }
    size_t n_read = 0;
    while (n_read < n_wanted) {
        const ssize_t got = ::pread(descriptor_, out.data() + n_read, n_wanted - n_read,
                                    static_cast<off_t>(offset + n_read));
        if (got > 0) {
            n_read += static_cast<size_t>(got);
        } else if (got == 0 || errno != EINTR) {
            error_ = got == 0 ? 0 : errno;  // 0: the file has shrunk, which its reader will notice
            break;
        }
    }
    return n_read;
}

Status SoundBytes::status() const {
    if (error_ == 0) return {};
    return {StatusCode::io, "cannot read the file", name_, error_};
}

}  // namespace gemlet::audio
