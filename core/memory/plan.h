// Memory is planned, then taken once: every buffer is a row of a size table, the table becomes one
// block, and the pointers are handed out. Afterwards nothing is allocated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "core/status.h"

namespace gemlet {

/// One buffer of the plan.
struct PlanRow {
    const char* name;  // static text, for people
    size_t bytes;      // as asked for
    size_t offset;     // within the block, a multiple of kPlanAlign
    void** target;     // receives the address
};

constexpr size_t kPlanAlign = 64;

/// A size table. Buffers are 64-byte aligned and zero at first.
class MemoryPlan {
  public:
    /// Adds a buffer of `count` elements of T, whose address `*target` will receive. Sizes that
    /// overflow make allocation fail.
    template <class T>
    void add(const char* name, T** target, size_t count) {
        static_assert(alignof(T) <= kPlanAlign);
        add_bytes(name, reinterpret_cast<void**>(target), count, sizeof(T));
    }

    std::span<const PlanRow> rows() const { return rows_; }
    size_t total_bytes() const { return total_; }
    bool overflowed() const { return overflowed_; }

  private:
    void add_bytes(const char* name, void** target, size_t count, size_t element_bytes);

    std::vector<PlanRow> rows_;
    size_t total_ = 0;
    bool overflowed_ = false;
};

/// The block of a plan. The system gives its pages only when they are first touched, so a buffer
/// reserved for the whole context costs what is used of it.
class Arena {
  public:
    /// Reserves the plan's block and sets all targets. Errors: `out_of_memory`.
    static Result<Arena> allocate(const MemoryPlan& plan);

    Arena() = default;
    Arena(Arena&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
    Arena& operator=(Arena&& other) noexcept;
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;
    ~Arena();

    size_t bytes() const { return bytes_; }

  private:
    void* data_ = nullptr;
    size_t bytes_ = 0;
};

}  // namespace gemlet
