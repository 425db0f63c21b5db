// AMX: an int8 tile product gives 16 x 16 sums of one group at once. A group has a scale of its
// own, so a tile is only 32 (or 16) columns deep, half (a quarter) of what the hardware multiplies
// in the same 16 cycles, and every sum passes through memory to be scaled by AVX-512. That still
// pays, reasoned for Sapphire Rapids, not measured: 16 x 16 x 32 products cost 16 cycles of the
// tile unit and, beside it, 64 vector operations on two ports (32 cycles), against 88 cycles with
// vpdpbusd.
//
// At least 16 activation rows; the rest of them, and decode, as avx512vnni.
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/matmul_block/block_pack_avx2.h"
#include "kernels/matmul_block/matmul_block.h"
#include "kernels/matmul_block/row_dots_avx512.h"
#include "kernels/matmul_block/tile_vectors_avx512.h"

namespace gemlet {
namespace {

constexpr size_t kMaxDotRows = 8;
constexpr size_t kTileRows = 16;

// Tile registers: 0 activations, 1 and 2 weights, 3 and 4 sums of both vectors of outputs. g++
// pastes these numbers into register names, so they stand as literals.
struct alignas(64) TileConfig {
    uint8_t palette = 1;
    uint8_t start_row = 0;
    uint8_t reserved[14] = {};
    uint16_t row_bytes[16] = {};
    uint8_t rows[16] = {};
};

// The compiler's tile loads do not say that they read memory.
inline void finish_stores() { __asm__ __volatile__("" ::: "memory"); }

// Tiles `columns` deep.
inline void configure(uint8_t columns) {
    TileConfig config;
    config.row_bytes[0] = columns;
    config.rows[0] = kTileRows;
    for (size_t tile = 1; tile < 5; ++tile) {
        config.row_bytes[tile] = 64;
        config.rows[tile] = tile < 3 ? static_cast<uint8_t>(columns / 4) : kTileRows;
    }
    finish_stores();
    _tile_loadconfig(&config);
}

// Sums of one group: [half][vector of outputs][row][output].
struct alignas(64) GroupDots {
    int32_t of[2][2][kTileRows][16];
};

template <class K>
inline void multiply_group(const uint8_t* record, const int8_t* x, size_t x_stride,
                           GroupDots& dots) {
    using R = Record<2 * Vectors512::kLanes, K::kHalves, K::kMins>;
    constexpr int kParts = K::kHalves ? 2 : 1;
    for (int part = 0; part < kParts; ++part) {
        const uint8_t* codes = record + static_cast<size_t>(part * 8 / kParts) * R::kChunk;
        _tile_loadd(0, x + 16 * part, x_stride);
        _tile_loadd(1, codes, R::kChunk);
        _tile_loadd(2, codes + 64, R::kChunk);
        _tile_zero(3);
        _tile_dpbsud(3, 0, 1);
        _tile_zero(4);
        _tile_dpbsud(4, 0, 2);
        _tile_stored(3, dots.of[part][0], 64);
        _tile_stored(4, dots.of[part][1], 64);
    }
}

// Scales the sums of a group and adds them to its lane, acc [kTileRows, 32].
template <class K>
inline void add_group(const uint8_t* record, const MatmulBlockArgs& args, size_t at,
                      const RowTerms<kTileRows>& terms, size_t g, const GroupDots& dots,
                      float* acc) {
    using V = Vectors512;
    using R = Record<2 * V::kLanes, K::kHalves, K::kMins>;
    for (size_t r = 0; r < kTileRows; ++r) {
        __m512 t[2];
#pragma GCC unroll 2
        for (int part = 0; part < (K::kHalves ? 2 : 1); ++part) {
            const auto* scale =
                reinterpret_cast<const float*>(record + R::kScale + part * R::kChunk);
            const __m512i start = _mm512_set1_epi32(terms.start[part][r][g]);
#pragma GCC unroll 2
            for (int i = 0; i < 2; ++i) {
                const __m512i sum =
                    _mm512_add_epi32(_mm512_loadu_si512(dots.of[part][i][r]), start);
                const __m512 dot = V::to_floats(sum);
                const __m512 factor = V::load(scale + V::kLanes * i);
                t[i] = part == 0 ? V::mul(factor, dot) : V::fmadd(factor, dot, t[i]);
            }
        }
        finish_row<V, K, 2>(record, terms, r, g, args.x.scale[(at + r * args.k) / 32], t,
                            acc + r * 2 * V::kLanes);
    }
}

// Rows m0..m0+15 times the tile. The tile unit is one group ahead of the vectors.
template <class K>
void multiply_16(const uint8_t* tile, const MatmulBlockArgs& args, size_t m0, int bias, size_t n,
                 size_t n_valid) {
    using R = Record<2 * Vectors512::kLanes, K::kHalves, K::kMins>;
    alignas(64) float acc[8][kTileRows][2 * Vectors512::kLanes];
    memset(acc, 0, sizeof(acc));
    GroupDots dots[2];
    const int8_t* x = args.x.codes + m0 * args.k;
    const size_t n_groups = args.k / 32;
    RowTerms<kTileRows> terms;
    multiply_group<K>(tile, x, args.k, dots[0]);
    for (size_t group = 0; group < n_groups; ++group, tile += R::kBytes) {
        const size_t at = m0 * args.k + 32 * group;
        if (group % 8 == 0) {
            const size_t left = n_groups - group;
            fill_terms<K>(args, at, left < 8 ? left : 8, bias, terms);
        }
        if (group + 1 < n_groups) {
            multiply_group<K>(tile + R::kBytes, x + 32 * (group + 1), args.k,
                              dots[(group + 1) % 2]);
        }
        add_group<K>(tile, args, at, terms, group % 8, dots[group % 2], acc[group % 8][0]);
    }
    store_totals<Vectors512, kTileRows, 2>(acc, args, m0, n, n_valid);
}

// At least 4 activation rows.
template <class Rows>
void multiply_tiles(const MatmulBlockArgs& args, Rows& rows, uint8_t* tile) {
    using V = Vectors512;
    constexpr size_t kNr = 2 * V::kLanes;
    using K = Kind<V::width<Rows::kWidth>(), Rows::kHalves, Rows::kMins>;
    const int bias = Rows::kWidth == Width::s8 ? 128 : rows.bias();
    const size_t n_tiled = args.m / kTileRows * kTileRows;
    configure(K::kHalves ? 16 : 32);
    for (size_t n = args.n_begin; n < args.n_end; n += kNr) {
        fill_tile<kNr, V::kFlip>(args, rows, n, tile);
        finish_stores();
        const size_t n_valid = args.n_end - n < kNr ? args.n_end - n : kNr;
        for (size_t m = 0; m < n_tiled; m += kTileRows) {
            multiply_16<K>(tile, args, m, bias, n, n_valid);
        }
        multiply_all<V, K, 2>(tile, args, n_tiled, bias, n, n_valid);
    }
    _tile_release();
}

void run(const MatmulBlockArgs& args) {
    if (args.m == 0 || args.n_begin >= args.n_end) return;
    uint8_t* work = args.scratch + unpacked_bytes(args.k);
    with_rows(args, args.scratch, [&](auto rows) {
        if (args.m <= kMaxDotRows) return multiply_few<PairDots>(args, rows, work);
        multiply_tiles(args, rows, work);
    });
}

}  // namespace

extern const MatmulBlockVariant matmul_block_amx;
const MatmulBlockVariant matmul_block_amx = {"matmul_block_amx", Isa::amx, pack_rows, run};

}  // namespace gemlet
