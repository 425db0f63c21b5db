// The block is an anonymous mapping without reservation of swap: the kernel hands out zero pages on
// first touch, which is what lets a long context be planned but not paid for.
#include "core/memory/plan.h"

#include <sys/mman.h>

namespace gemlet {

void MemoryPlan::add_bytes(const char* name, void** target, size_t count, size_t element_bytes) {
    size_t bytes = 0;
    size_t padded = 0;
    size_t total = 0;
    if (__builtin_mul_overflow(count, element_bytes, &bytes) ||
        __builtin_add_overflow(bytes, kPlanAlign - 1, &padded) ||
        __builtin_add_overflow(total_, padded / kPlanAlign * kPlanAlign, &total)) {
        overflowed_ = true;
        return;
    }
    rows_.push_back({name, bytes, total_, target});
    total_ = total;
}

Result<Arena> Arena::allocate(const MemoryPlan& plan) {
    Arena arena;
    if (plan.overflowed()) {
        return Status(StatusCode::out_of_memory, "the memory plan exceeds the address space");
    }
    if (plan.total_bytes() != 0) {
        void* block = mmap(nullptr, plan.total_bytes(), PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (block == MAP_FAILED) {
            return Status(StatusCode::out_of_memory, "cannot reserve memory (bytes)", {},
                          static_cast<int64_t>(plan.total_bytes()));
        }
        arena.data_ = block;
        arena.bytes_ = plan.total_bytes();
    }
    for (const PlanRow& row : plan.rows()) {
        *row.target = static_cast<uint8_t*>(arena.data_) + row.offset;
    }
    return arena;
}

Arena& Arena::operator=(Arena&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
}

Arena::~Arena() {
    if (data_ != nullptr) munmap(data_, bytes_);
}

}  // namespace gemlet
