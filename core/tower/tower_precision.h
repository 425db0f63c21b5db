// How the matrices of a vision or audio encoder are multiplied.
#pragma once

#include <cstdint>

namespace gemlet {

enum class TowerPrecision : uint8_t {
    automatic,  // as the file has them: float in float, block formats with int8 inputs
    in_float,   // everything but QAT mobile in float
    int8,       // float matrices are quantised to int8 rows at load, inputs row by row
};

}  // namespace gemlet
