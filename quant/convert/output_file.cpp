// Plain POSIX calls: pwrite reports a full disk, which a mapping would turn into a signal.
#include "quant/convert/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

namespace gemlet {
namespace {

Status write_error(int error, const std::string& path) {
    if (error == ENOSPC || error == EDQUOT) return {StatusCode::io, "the disk is full", path};
    if (error == ENOENT) return {StatusCode::not_found, "the folder to write to is missing", path};
    if (error == EACCES || error == EPERM || error == EROFS) {
        return {StatusCode::io, "may not be written", path};
    }
    return {StatusCode::io, "cannot be written (errno)", path, error};
}

bool write_all(int file, const char* bytes, size_t n) {
    while (n > 0) {
        const ssize_t written = ::write(file, bytes, n);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return false;
        bytes += written;
        n -= static_cast<size_t>(written);
    }
    return true;
}

std::string read_text(const std::string& path) {
    std::string text;
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return text;
    char piece[4096];
    for (;;) {
        const ssize_t n = ::read(file, piece, sizeof piece);
        if (n <= 0) break;
        text.append(piece, static_cast<size_t>(n));
    }
    ::close(file);
    return text;
}

/// The parts that a journal names, if it begins with the fingerprint. A last line without an end
/// was cut off and does not count.
std::vector<bool> parse_journal(const std::string& text, const std::string& fingerprint,
                                size_t n_parts) {
    std::vector<bool> done(n_parts);
    const std::string head = fingerprint + "\n";
    if (text.compare(0, head.size(), head) != 0) return done;
    size_t at = head.size();
    for (size_t end = text.find('\n', at); end != std::string::npos; end = text.find('\n', at)) {
        const size_t part = std::strtoull(text.c_str() + at, nullptr, 10);
        if (part < n_parts) done[part] = true;
        at = end + 1;
    }
    return done;
}

/// Takes the room on the disk. File systems that cannot reserve are written to as it comes.
int reserve(int file, uint64_t n_bytes) {
    const int error = posix_fallocate(file, 0, static_cast<off_t>(n_bytes));
    if (error == EOPNOTSUPP || error == EINVAL) {
        return ftruncate(file, static_cast<off_t>(n_bytes)) == 0 ? 0 : errno;
    }
    return error;
}

}  // namespace

Result<OutputFile> OutputFile::create(const std::string& path, uint64_t n_bytes, size_t n_parts,
                                      bool resume, const std::string& fingerprint) {
    OutputFile out;
    out.path_ = path;
    out.partial_ = path + ".partial";
    out.journal_path_ = out.partial_ + ".journal";
    out.done_.assign(n_parts, false);
    std::string journal = fingerprint + "\n";
    struct stat facts {};
    if (stat(path.c_str(), &facts) == 0 && S_ISDIR(facts.st_mode)) {
        return Status(StatusCode::io, "is a folder", path);
    }
    const bool is_there = stat(out.partial_.c_str(), &facts) == 0 && facts.st_size > 0 &&
                          static_cast<uint64_t>(facts.st_size) == n_bytes;
    if (resume && is_there) {
        const std::string earlier = read_text(out.journal_path_);
        out.done_ = parse_journal(earlier, fingerprint, n_parts);
        for (size_t part = 0; part < n_parts; ++part) {
            if (out.done_[part]) journal += std::to_string(part) + "\n";
        }
    }
    out.file_ = ::open(out.partial_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (out.file_ < 0) return write_error(errno, path);
    if (const int error = reserve(out.file_, n_bytes); error != 0) return write_error(error, path);
    if (ftruncate(out.file_, static_cast<off_t>(n_bytes)) != 0) return write_error(errno, path);
    if (resume) {
        out.journal_ = ::open(out.journal_path_.c_str(),
                              O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
        if (out.journal_ < 0 || !write_all(out.journal_, journal.data(), journal.size())) {
            return write_error(errno, out.journal_path_);
        }
        out.keep_ = true;
    }
    return out;
}

OutputFile::OutputFile(OutputFile&& other) noexcept { *this = std::move(other); }

OutputFile& OutputFile::operator=(OutputFile&& other) noexcept {
    if (this == &other) return *this;
    discard();
    path_ = std::move(other.path_);
    partial_ = std::move(other.partial_);
    journal_path_ = std::move(other.journal_path_);
    file_ = std::exchange(other.file_, -1);
    journal_ = std::exchange(other.journal_, -1);
    keep_ = other.keep_;
    done_ = std::move(other.done_);
    return *this;
}

OutputFile::~OutputFile() { discard(); }

void OutputFile::discard() {
    if (journal_ >= 0) ::close(std::exchange(journal_, -1));
    if (file_ < 0) return;
    ::close(std::exchange(file_, -1));
    if (keep_) return;
    unlink(partial_.c_str());
    unlink(journal_path_.c_str());
}

Status OutputFile::write(uint64_t offset, std::span<const uint8_t> bytes) {
    while (!bytes.empty()) {
        const ssize_t n = pwrite(file_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return write_error(n < 0 ? errno : ENOSPC, path_);
        bytes = bytes.subspan(static_cast<size_t>(n));
        offset += static_cast<uint64_t>(n);
    }
    return {};
}

Status OutputFile::read(uint64_t offset, std::span<uint8_t> bytes) const {
    while (!bytes.empty()) {
        const ssize_t n = pread(file_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return {StatusCode::io, "cannot be read again", path_};
        bytes = bytes.subspan(static_cast<size_t>(n));
        offset += static_cast<uint64_t>(n);
    }
    return {};
}

Status OutputFile::mark_done(size_t part) {
    done_[part] = true;
    if (journal_ < 0) return {};
    const std::string line = std::to_string(part) + "\n";
    if (!write_all(journal_, line.data(), line.size())) return write_error(errno, journal_path_);
    return {};
}

Status OutputFile::finish() {
    if (fsync(file_) != 0 || rename(partial_.c_str(), path_.c_str()) != 0) {
        return write_error(errno, path_);
    }
    ::close(std::exchange(file_, -1));
    unlink(journal_path_.c_str());
    return {};
}

}  // namespace gemlet
