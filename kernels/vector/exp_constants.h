// Constants of the canonical exp, shared by all instruction sets (kernels/vector/canonical.cpp
// explains them). Only constants: files built for one instruction set include this header.
#pragma once

namespace gemlet {

constexpr float kExpHigh = 88.0F;
constexpr float kExpLow = -87.3F;  // below: exactly 0
constexpr float kLog2E = 0x1.715476p+0F;
constexpr float kRoundShift = 12582912.0F;  // 1.5 * 2^23
constexpr float kLn2High = 0x1.62e43p-1F;
constexpr float kLn2Low = -0x1.05c61p-29F;
constexpr float kExpPoly[5] = {0x1.fffffcp-2F, 0x1.555492p-3F, 0x1.5558f2p-5F, 0x1.123a2p-7F,
                               0x1.6a23ccp-10F};

}  // namespace gemlet
