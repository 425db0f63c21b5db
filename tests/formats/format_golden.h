// Reads the golden files of tests/data/formats (layout: make_format_goldens.py).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "quant/formats/weight_type.h"

namespace gemlet {

struct FormatGolden {
    std::vector<uint8_t> row;   // whole blocks
    std::vector<float> values;  // what the reference makes of them
};

/// Reads the golden file of a type; empty vectors if it is missing or malformed.
FormatGolden read_format_golden(WeightType type);

/// Every type with an enumerator, for parameterised tests.
std::vector<WeightType> all_weight_types();

/// The types for which a question is answered with yes.
std::vector<WeightType> weight_types_if(bool (*question)(WeightType));

/// Name of a parameterised test case.
std::string weight_type_name(WeightType type);

/// Pseudo-random numbers for tests: about normal, repeatable on every platform.
std::vector<float> noise(uint64_t seed, size_t n);

/// Pseudo-random bytes.
std::vector<uint8_t> noise_bytes(uint64_t seed, size_t n);

}  // namespace gemlet
