// The three weight types as template arguments: where every variant of matmul_row begins. Included
// by files of one instruction set each, hence anonymous.
#pragma once

#include "kernels/matmul_row/matmul_row.h"

namespace gemlet {
namespace {

// Calls run<type>() with the type known to the compiler.
template <class Run>
inline void for_row_type(WeightType type, const Run& run) {
    switch (type) {
        case WeightType::i2r:
            return run.template operator()<WeightType::i2r>();
        case WeightType::i4r:
            return run.template operator()<WeightType::i4r>();
        default:
            return run.template operator()<WeightType::i8r>();
    }
}

}  // namespace
}  // namespace gemlet
