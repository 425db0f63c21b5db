// The packed sub-block scales of q3_k, q4_k and q5_k, for readers that keep the integers.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gemlet {

struct KScaleMin {
    int scale;  // 0..63
    int min;    // 0..63
};

/// Returns the scale and minimum of sub-block j (0..7, 32 columns each) of a q4_k or q5_k block
/// from its 12 scale bytes. Source: GGUF specification, K-quants.
KScaleMin k_scale_min(const uint8_t* s, size_t j);

/// Returns the scale (-32..31) of group j (0..15, 16 columns each) of a q3_k block from its 12
/// scale bytes. Source: as above.
int q3_k_scale(const uint8_t* s, size_t j);

}  // namespace gemlet
