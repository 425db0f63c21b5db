// NumPy's .npy files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>

#include "core/status.h"

namespace gemlet {

/// Writes a float32 array [n_rows, n_cols] (or [n_cols] when `flat`) row by row. The file appears
/// under its name only when it is complete.
class NpyWriter {
  public:
    /// Errors: `io` naming the path.
    static Result<NpyWriter> create(const std::string& path, size_t n_rows, size_t n_cols,
                                    bool flat);
    NpyWriter(NpyWriter&& other) noexcept;
    NpyWriter& operator=(NpyWriter&&) = delete;
    NpyWriter(const NpyWriter&) = delete;
    NpyWriter& operator=(const NpyWriter&) = delete;
    ~NpyWriter();

    void write_row(const float* values);
    /// Flushes and gives the file its name. Errors: `io`.
    Status finish();

  private:
    NpyWriter() = default;
    std::FILE* file_ = nullptr;
    std::string path_;
    std::string partial_;
    size_t n_cols_ = 0;
    bool failed_ = false;
};

}  // namespace gemlet
