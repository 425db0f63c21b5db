// A file that appears under its name when it is complete, and not before.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/status.h"

namespace gemlet {

/// Written in pieces at known places under the name PATH.partial; finish() renames it. What is not
/// finished is deleted when this is destroyed, unless it is to be resumed. A journal beside it
/// (PATH.partial.journal) names the parts that are complete.
class OutputFile {
  public:
    /// Takes `n_bytes` of disk at once, so that a full disk shows before the work and not after it.
    /// With `resume` an earlier file is continued if its journal begins with the same
    /// `fingerprint`, and what is written stays for a next time. Errors: `io`; the subject is the
    /// path.
    static Result<OutputFile> create(const std::string& path, uint64_t n_bytes, size_t n_parts,
                                     bool resume, const std::string& fingerprint);
    OutputFile(OutputFile&& other) noexcept;
    OutputFile& operator=(OutputFile&& other) noexcept;
    OutputFile(const OutputFile&) = delete;
    OutputFile& operator=(const OutputFile&) = delete;
    ~OutputFile();

    Status write(uint64_t offset, std::span<const uint8_t> bytes);
    Status read(uint64_t offset, std::span<uint8_t> bytes) const;
    /// Whether an earlier run completed a part.
    bool is_done(size_t part) const { return done_[part]; }
    /// Notes that a part is complete.
    Status mark_done(size_t part);
    /// The name it has until then.
    const std::string& partial_path() const { return partial_; }
    /// Brings everything to the disk and gives the file its name.
    Status finish();

  private:
    OutputFile() = default;
    void discard();

    std::string path_;
    std::string partial_;
    std::string journal_path_;
    int file_ = -1;
    int journal_ = -1;
    bool keep_ = false;
    std::vector<bool> done_;
};

}  // namespace gemlet
