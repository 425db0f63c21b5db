// Counts what the whole test program allocates, with new or with malloc and its kin.
#pragma once

#include <cstddef>

namespace gemlet::test {

/// False under sanitizers, which replace the allocator themselves.
bool counts_allocations();
/// Returns the number of allocations so far, of all threads.
size_t n_allocations();

}  // namespace gemlet::test
