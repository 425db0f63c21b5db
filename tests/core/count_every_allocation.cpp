// Defines malloc and its kin in front of the C library's, which stay reachable by their other
// names; operator new ends there too.
#include "tests/core/count_every_allocation.h"

#include <atomic>
#include <cerrno>
#include <cstdlib>

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && defined(__GLIBC__)
#define GEMLET_COUNTS_ALLOCATIONS 1
#else
#define GEMLET_COUNTS_ALLOCATIONS 0
#endif

namespace {
std::atomic<size_t> n_calls{0};
}  // namespace

#if GEMLET_COUNTS_ALLOCATIONS
extern "C" {
// NOLINTBEGIN(bugprone-reserved-identifier): the C library's names for its own allocator
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* block, size_t size);
void* __libc_memalign(size_t alignment, size_t size);
// NOLINTEND(bugprone-reserved-identifier)

void* malloc(size_t size) {
    ++n_calls;
    return __libc_malloc(size);
}
void* calloc(size_t count, size_t size) {
    ++n_calls;
    return __libc_calloc(count, size);
}
void* realloc(void* block, size_t size) {
    ++n_calls;
    return __libc_realloc(block, size);
}
void* aligned_alloc(size_t alignment, size_t size) {
    ++n_calls;
    return __libc_memalign(alignment, size);
}
int posix_memalign(void** block, size_t alignment, size_t size) {
    ++n_calls;
    *block = __libc_memalign(alignment, size);
    return *block != nullptr ? 0 : ENOMEM;
}
}
#endif

namespace gemlet::test {

bool counts_allocations() { return GEMLET_COUNTS_ALLOCATIONS != 0; }
size_t n_allocations() { return n_calls; }

}  // namespace gemlet::test
