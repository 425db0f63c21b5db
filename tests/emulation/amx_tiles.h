// AMX tile registers and int8 products as plain C++. A tile that is not configured, or operands
// that do not fit each other, trap as the instructions do.
#pragma once
#pragma GCC system_header

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#undef _tile_loadconfig
#undef _tile_release
#undef _tile_loadd
#undef _tile_stored
#undef _tile_zero
#undef _tile_dpbssd
#undef _tile_dpbsud
#undef _tile_dpbusd
#undef _tile_dpbuud

namespace gemlet {
namespace {

struct EmulatedTiles {
    static constexpr size_t kTiles = 8;
    static constexpr size_t kRows = 16;
    static constexpr size_t kRowBytes = 64;
    bool configured;
    uint8_t rows[kTiles];
    uint16_t row_bytes[kTiles];
    uint8_t bytes[kTiles][kRows][kRowBytes];
};
inline thread_local EmulatedTiles emulated_tiles = {};

inline void trap_unless(bool valid) {
    if (!valid) __builtin_trap();
}
inline void check_tile(int tile) {
    trap_unless(emulated_tiles.configured && tile >= 0 && tile < 8 &&
                emulated_tiles.rows[tile] > 0 && emulated_tiles.row_bytes[tile] > 0);
}

inline void _tile_loadconfig(const void* config) {
    const auto* bytes = static_cast<const uint8_t*>(config);
    trap_unless(bytes[0] == 1);
    for (size_t i = 2; i < 16; ++i) trap_unless(bytes[i] == 0);
    emulated_tiles = {};
    emulated_tiles.configured = true;
    for (size_t i = 0; i < EmulatedTiles::kTiles; ++i) {
        memcpy(&emulated_tiles.row_bytes[i], bytes + 16 + 2 * i, 2);
        emulated_tiles.rows[i] = bytes[48 + i];
        trap_unless(emulated_tiles.rows[i] <= EmulatedTiles::kRows &&
                    emulated_tiles.row_bytes[i] <= EmulatedTiles::kRowBytes);
    }
}
inline void _tile_release() { emulated_tiles = {}; }
inline void _tile_zero(int tile) {
    check_tile(tile);
    memset(emulated_tiles.bytes[tile], 0, sizeof(emulated_tiles.bytes[tile]));
}
inline void _tile_loadd(int tile, const void* base, size_t stride) {
    _tile_zero(tile);
    for (size_t row = 0; row < emulated_tiles.rows[tile]; ++row) {
        memcpy(emulated_tiles.bytes[tile][row], static_cast<const char*>(base) + row * stride,
               emulated_tiles.row_bytes[tile]);
    }
}
inline void _tile_stored(int tile, void* base, size_t stride) {
    check_tile(tile);
    for (size_t row = 0; row < emulated_tiles.rows[tile]; ++row) {
        memcpy(static_cast<char*>(base) + row * stride, emulated_tiles.bytes[tile][row],
               emulated_tiles.row_bytes[tile]);
    }
}

// sum[m][n] += products of a[m][4k..] and b[k][4n..]; sums wrap.
template <class A, class B>
inline void tile_dot(int sum, int a, int b) {
    EmulatedTiles& t = emulated_tiles;
    check_tile(sum);
    check_tile(a);
    check_tile(b);
    trap_unless(sum != a && sum != b && a != b && t.rows[sum] == t.rows[a] &&
                t.row_bytes[sum] == t.row_bytes[b] && t.row_bytes[a] == t.rows[b] * 4);
    for (size_t m = 0; m < t.rows[sum]; ++m) {
        for (size_t n = 0; n < t.row_bytes[sum] / 4; ++n) {
            uint32_t total = 0;
            memcpy(&total, &t.bytes[sum][m][4 * n], sizeof(total));
            for (size_t i = 0; i < t.row_bytes[a]; ++i) {
                const auto x = static_cast<A>(t.bytes[a][m][i]);
                const auto y = static_cast<B>(t.bytes[b][i / 4][4 * n + i % 4]);
                total += static_cast<uint32_t>(x * y);
            }
            memcpy(&t.bytes[sum][m][4 * n], &total, sizeof(total));
        }
    }
}
inline void _tile_dpbssd(int sum, int a, int b) { tile_dot<int8_t, int8_t>(sum, a, b); }
inline void _tile_dpbsud(int sum, int a, int b) { tile_dot<int8_t, uint8_t>(sum, a, b); }
inline void _tile_dpbusd(int sum, int a, int b) { tile_dot<uint8_t, int8_t>(sum, a, b); }
inline void _tile_dpbuud(int sum, int a, int b) { tile_dot<uint8_t, uint8_t>(sum, a, b); }

}  // namespace
}  // namespace gemlet
