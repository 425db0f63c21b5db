// The system calls are used with explicit mask sizes: the fixed cpu_set_t ends at CPU 1,023, and
// the kernel refuses masks smaller than its own.
#include "core/threads/affinity.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>

namespace gemlet {
namespace {

constexpr size_t kWordBits = sizeof(unsigned long) * CHAR_BIT;

// Returns the bytes the kernel filled, 0 on failure. The C library's wrapper hides that number.
template <size_t n>
size_t get_mask(std::array<unsigned long, n>& mask) noexcept {
    const long bytes = syscall(SYS_sched_getaffinity, 0, sizeof mask, mask.data());
    return bytes > 0 ? static_cast<size_t>(bytes) : 0;
}

}  // namespace

std::vector<int32_t> current_affinity() {
    std::array<unsigned long, 128> mask{};
    const size_t n_words = get_mask(mask) / sizeof(unsigned long);
    std::vector<int32_t> pus;
    for (size_t bit = 0; bit < n_words * kWordBits; ++bit) {
        if ((mask[bit / kWordBits] >> (bit % kWordBits) & 1UL) != 0) {
            pus.push_back(static_cast<int32_t>(bit));
        }
    }
    return pus;
}

bool pin_this_thread(int32_t pu) noexcept {
    std::array<unsigned long, 128> mask{};
    const auto bit = static_cast<size_t>(pu);
    if (pu < 0 || bit >= mask.size() * kWordBits) return false;
    mask[bit / kWordBits] = 1UL << (bit % kWordBits);
    return syscall(SYS_sched_setaffinity, 0, sizeof mask, mask.data()) == 0;
}

AffinityScope::AffinityScope(int32_t pu) noexcept {
    if (pu < 0) return;
    const size_t bytes = get_mask(saved_);
    if (bytes != 0 && pin_this_thread(pu)) saved_bytes_ = bytes;
}

AffinityScope::~AffinityScope() {
    if (saved_bytes_ != 0) syscall(SYS_sched_setaffinity, 0, saved_bytes_, saved_.data());
}

}  // namespace gemlet
