// Format 1.0: magic, header length, a Python dictionary padded to 64 bytes, then the numbers.
#include "frontends/cli/npy.h"

#include <utility>

namespace gemlet {

Result<NpyWriter> NpyWriter::create(const std::string& path, size_t n_rows, size_t n_cols,
                                    bool flat) {
    NpyWriter writer;
    writer.path_ = path;
    writer.partial_ = path + ".partial";
    writer.n_cols_ = n_cols;
    writer.file_ = std::fopen(writer.partial_.c_str(), "wb");
    if (writer.file_ == nullptr) return Status(StatusCode::io, "cannot write", path);
    const std::string shape =
        flat ? "(" + std::to_string(n_cols) + ",)"
             : "(" + std::to_string(n_rows) + ", " + std::to_string(n_cols) + ")";
    std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + ", }";
    constexpr size_t kPreamble = 10;
    while ((kPreamble + header.size() + 1) % 64 != 0) header += ' ';
    header += '\n';
    const unsigned char preamble[kPreamble] = {0x93,
                                               'N',
                                               'U',
                                               'M',
                                               'P',
                                               'Y',
                                               1,
                                               0,
                                               static_cast<unsigned char>(header.size() & 0xFFU),
                                               static_cast<unsigned char>(header.size() >> 8U)};
    writer.failed_ = std::fwrite(preamble, 1, kPreamble, writer.file_) != kPreamble ||
                     std::fwrite(header.data(), 1, header.size(), writer.file_) != header.size();
    return writer;
}

NpyWriter::NpyWriter(NpyWriter&& other) noexcept
    : file_(std::exchange(other.file_, nullptr)),
      path_(std::move(other.path_)),
      partial_(std::move(other.partial_)),
      n_cols_(other.n_cols_),
      failed_(other.failed_) {}

NpyWriter::~NpyWriter() {
    if (file_ == nullptr) return;
    std::fclose(file_);
    std::remove(partial_.c_str());
}

void NpyWriter::write_row(const float* values) {
    if (std::fwrite(values, sizeof(float), n_cols_, file_) != n_cols_) failed_ = true;
}

Status NpyWriter::finish() {
    if (std::fclose(std::exchange(file_, nullptr)) != 0) failed_ = true;
    if (!failed_ && std::rename(partial_.c_str(), path_.c_str()) == 0) return {};
    std::remove(partial_.c_str());
    return {StatusCode::io, "cannot write (disk full?)", path_};
}

}  // namespace gemlet
