// Maps a file with POSIX calls. The mapping is shared with the page cache: opening a model costs no
// copy, and a second process that opens the same model costs no second one. The price is that a
// file which somebody truncates while it is mapped raises SIGBUS on access; sizes are checked when
// a file is opened, and that is as far as it can go.
#include "core/files/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <limits>
#include <utility>

namespace gemlet {
namespace {

// Maps what `descriptor` refers to; an empty file has no mapping and a null address.
Status map_descriptor(int descriptor, const std::string& path, std::span<const uint8_t>& mapped) {
    struct stat facts {};
    if (fstat(descriptor, &facts) != 0) {
        return {StatusCode::io, "cannot read the file's size", path, errno};
    }
    if (!S_ISREG(facts.st_mode)) {
        return {StatusCode::unsupported, "not a regular file", path};
    }
    if (facts.st_size < 0 ||
        static_cast<uint64_t>(facts.st_size) > std::numeric_limits<size_t>::max() / 2) {
        return {StatusCode::unsupported, "file is too large for this machine", path};
    }
    const auto size = static_cast<size_t>(facts.st_size);
    if (size == 0) return {};
    void* address = mmap(nullptr, size, PROT_READ, MAP_SHARED, descriptor, 0);
    if (address == MAP_FAILED) {
        return {StatusCode::io, "cannot map the file into memory", path, errno};
    }
    mapped = {static_cast<const uint8_t*>(address), size};
    return {};
}

}  // namespace

Status file_open_error(int error, const std::string& path) {
    if (error == ENOENT || error == ENOTDIR) {
        return {StatusCode::not_found, "no such file", path};
    }
    if (error == EACCES || error == EPERM) {
        return {StatusCode::io, "not allowed to read the file", path, error};
    }
    return {StatusCode::io, "cannot open the file", path, error};
}

Result<MappedFile> MappedFile::open(const std::string& path) {
    if (path.find('\0') != std::string::npos) {
        return Status(StatusCode::bad_argument, "path holds a NUL byte", path);
    }
    // Not blocking: a pipe without a writer must be refused, not waited for.
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) return file_open_error(errno, path);
    MappedFile file;
    file.path_ = path;
    std::span<const uint8_t> mapped;
    const Status status = map_descriptor(descriptor, path, mapped);
    ::close(descriptor);
    GEMLET_TRY(status);
    file.data_ = mapped.data();
    file.size_ = mapped.size();
    return file;
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      path_(std::move(other.path_)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(path_, other.path_);
    return *this;
}

MappedFile::~MappedFile() {
    if (data_ == nullptr) return;
    munmap(const_cast<uint8_t*>(data_), size_);  // NOLINT: munmap wants it so
}

void advise(std::span<const uint8_t> range, Access access) {
    if (range.empty()) return;
    const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    auto begin = reinterpret_cast<uintptr_t>(range.data());
    auto end = begin + range.size();
    if (access == Access::not_needed) {
        // Whole pages only: the neighbours may still be needed.
        begin = (begin + page - 1) / page * page;
        end = end / page * page;
        if (begin >= end) return;
    } else {
        begin = begin / page * page;
    }
    int advice = MADV_RANDOM;
    if (access == Access::sequential) advice = MADV_SEQUENTIAL;
    if (access == Access::soon) advice = MADV_WILLNEED;
    if (access == Access::not_needed) advice = MADV_DONTNEED;
    auto* const address = reinterpret_cast<void*>(begin);  // NOLINT: an address
    if (access == Access::now) {
        constexpr int kPopulateRead = 22;  // MADV_POPULATE_READ, Linux 5.14
        if (madvise(address, end - begin, kPopulateRead) == 0) return;
        advice = MADV_WILLNEED;
    }
    // A hint: whether the system takes it or not changes nothing here.
    (void)madvise(address, end - begin, advice);
}

}  // namespace gemlet
