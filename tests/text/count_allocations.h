// Counts what the whole test program allocates with operator new.
#pragma once

#include <cstddef>

namespace gemlet::test {

/// Returns the number of allocations so far, of all threads.
size_t n_allocations();

}  // namespace gemlet::test
