// Which CPUs the calling thread may run on, and changing that: for good in threads of ours, for a
// while and with the old mask put back in threads of others.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace gemlet {

/// Returns the OS indices of the CPUs the calling thread may run on, ascending. Empty when the
/// system does not say.
std::vector<int32_t> current_affinity();

/// Restricts the calling thread to one CPU. Returns false, changing nothing, when refused.
bool pin_this_thread(int32_t pu) noexcept;

/// Restricts the calling thread to one CPU until destruction, then restores its mask. With a
/// negative `pu`, or when the system refuses, it does nothing. Does not allocate; two system calls
/// to pin, one to restore. Destroy it on the thread that made it.
class AffinityScope {
  public:
    explicit AffinityScope(int32_t pu) noexcept;
    ~AffinityScope();
    AffinityScope(const AffinityScope&) = delete;
    AffinityScope& operator=(const AffinityScope&) = delete;

  private:
    static constexpr size_t kMaskWords = 128;  // 8,192 CPUs, the most Linux is built for

    std::array<unsigned long, kMaskWords> saved_;
    size_t saved_bytes_ = 0;  // 0: nothing to restore
};

}  // namespace gemlet
