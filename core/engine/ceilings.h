// The machine's measured ceilings, for benchmarks to divide by.
#pragma once

namespace gemlet {

struct Ceilings {
    double read_bytes_per_s = 0;     // all workers streaming memory that no cache holds
    double multiply_adds_per_s = 0;  // all workers multiplying bytes in registers
};

}  // namespace gemlet
