// The bytes of a sound: a file or a block of memory, read piece by piece from any place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "core/status.h"

namespace gemlet::audio {

/// Files are read, not mapped: pages of a mapping count as the process's memory, and a file that
/// shrinks under a mapping kills the process. Threads: one at a time.
class SoundBytes {
  public:
    /// Errors: `not_found`, `io`, `unsupported` for what is no regular file, `corrupt` when empty.
    static Result<std::unique_ptr<SoundBytes>> open(const std::string& path);
    /// Borrows the memory. Errors: `corrupt` when there are none.
    static Result<std::unique_ptr<SoundBytes>> of_memory(std::span<const uint8_t> memory);

    ~SoundBytes();
    SoundBytes(const SoundBytes&) = delete;
    SoundBytes& operator=(const SoundBytes&) = delete;

    uint64_t size() const { return size_; }
    /// For messages: the path, or "sound".
    const std::string& name() const { return name_; }

    /// Fills `out` from `offset`; returns fewer bytes only at the end or when reading fails.
    size_t read_at(uint64_t offset, std::span<uint8_t> out);
    /// Whether reading has failed so far. Errors: `io`.
    Status status() const;

  private:
    SoundBytes() = default;

    std::string name_;
    std::span<const uint8_t> memory_;
    uint64_t size_ = 0;
    int descriptor_ = -1;
    int error_ = 0;  // errno of a read
};

}  // namespace gemlet::audio
