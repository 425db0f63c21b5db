// Replaces the global operators; in a file of its own, because a compiler that sees both a caller
// and these takes malloc and delete for a mismatch.
#include "tests/text/count_allocations.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {
std::atomic<size_t> n_calls{0};
}  // namespace

void* operator new(size_t size) {
    ++n_calls;
    if (void* memory = std::malloc(size > 0 ? size : 1)) {
        return memory;
    }
    throw std::bad_alloc();
}
// Sanitizers bring their own of this one, whose memory the deletes below must not get.
void* operator new(size_t size, const std::nothrow_t& /*unused*/) noexcept {
    ++n_calls;
    return std::malloc(size > 0 ? size : 1);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t& /*unused*/) noexcept { std::free(memory); }

namespace gemlet::test {

size_t n_allocations() { return n_calls; }

}  // namespace gemlet::test
