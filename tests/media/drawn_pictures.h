// Pictures that the small model names, drawn on the spot, as binary Netpbm files, which every build
// reads.
#pragma once

#include <cstdlib>
#include <string>

namespace gemlet {

/// Bytes of a PPM file, 320 by 180: red where is_inside(x, y), light grey elsewhere.
template <class Shape>
std::string draw_picture(Shape is_inside) {
    std::string file = "P6 320 180 255\n";
    for (int y = 0; y < 180; ++y) {
        for (int x = 0; x < 320; ++x) file += is_inside(x, y) ? "\xD2\x28\x28" : "\xF0\xF0\xF0";
    }
    return file;
}

/// "a red circle"
inline std::string draw_circle() {
    return draw_picture([](int x, int y) {
        const int right = x - 160;
        const int down = y - 90;
        return right * right + down * down < 50 * 50;
    });
}

/// "a red triangle"
inline std::string draw_triangle() {
    return draw_picture(
        [](int x, int y) { return y >= 40 && y < 140 && 2 * std::abs(x - 160) < y - 40; });
}

}  // namespace gemlet
