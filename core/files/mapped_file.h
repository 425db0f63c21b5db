// A file mapped read-only into memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "core/status.h"

namespace gemlet {

/// What to say about a file that open(2) refused with `error`: `not_found` or `io`, the subject is
/// the path.
Status file_open_error(int error, const std::string& path);

/// Owns one read-only mapping; movable. The bytes stay valid until destruction.
class MappedFile {
  public:
    /// Maps a regular file. Errors: `not_found`, `io`, `unsupported` (a directory, a pipe); the
    /// subject is the path. An empty file gives an empty span.
    static Result<MappedFile> open(const std::string& path);

    MappedFile() = default;
    MappedFile(MappedFile&& other) noexcept;
    MappedFile& operator=(MappedFile&& other) noexcept;
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;
    ~MappedFile();

    std::span<const uint8_t> bytes() const { return {data_, size_}; }
    const std::string& path() const { return path_; }

  private:
    const uint8_t* data_ = nullptr;
    size_t size_ = 0;
    std::string path_;
};

/// How a range of a mapping will be used: a hint to the operating system, never an error. `now`
/// reads the whole range before it returns, where the system can.
enum class Access : uint8_t { random, sequential, soon, now, not_needed };
void advise(std::span<const uint8_t> range, Access access);

}  // namespace gemlet
