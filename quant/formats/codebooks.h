// Inside of quant/formats: ggml's lattice code books, packed. Two bits per value select one of
// three magnitudes (IQ2), three bits one of eight (IQ3); value 0 lies in the lowest bits.
#pragma once

#include <cstdint>

namespace gemlet {

extern const uint16_t kIq2XxsBook[256];  // 8 values of 2 bits
extern const uint16_t kIq2XsBook[512];
extern const uint16_t kIq2SBook[1024];
extern const uint16_t kIq3XxsBook[256];  // 4 values of 3 bits
extern const uint16_t kIq3SBook[512];

/// What a field of the books stands for.
extern const int8_t kIq2Levels[4];  // the fourth is unused
extern const int8_t kIq3XxsLevels[8];
extern const int8_t kIq3SLevels[8];

}  // namespace gemlet
