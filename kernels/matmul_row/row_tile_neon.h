// Many activation rows for all ARM variants.
//
// kTileColumns weight rows are unpacked, kTileFields fields each, into a tile that stays in the
// first-level cache while up to kTileRows activation rows stream by. Fields and activations meet as
// they lie: a register holds 16 columns of one row, so no input is ever broadcast; the lanes of a
// sum are added at the end of each block of k. Sums rest on the stack meanwhile: 16 KiB, and 16 KiB
// for the tile.
//
// A scheme says how: kStreams, kZero as in Fields; store (one row's or, with kPairs, two rows'
// fields of 16 weight bytes into a plane of the tile); multiply_rows (adds to the sums).
#pragma once

#include "kernels/matmul_row/row_finish_neon.h"

namespace gemlet {
namespace {

constexpr size_t kTileColumns = 16;
constexpr size_t kTileFields = 1024;
constexpr size_t kTileRows = 256;

using TileSums = int32_t[kTileRows][kTileColumns];

// fields[plane]: kTileColumns rows of kPlaneBytes each; with pairs, eight fields of one row and
// eight of the next take turns.
template <size_t kPlanes>
struct Tile {
    static constexpr size_t kPlaneBytes = kTileFields / kPlanes;
    alignas(64) int8_t fields[kPlanes][kTileColumns * kPlaneBytes];
};

// Activations of some rows, at the tile's place in k.
struct TileInput {
    const int8_t* codes;
    size_t row_bytes;
    size_t stream_bytes;
};

// Unpacks n_bytes bytes from `byte` on of the weight rows from `column` on. Rows that do not exist
// repeat the last one; bytes beyond a row's end meet activations of zero.
template <class Scheme>
void unpack_tile(const MatmulRowArgs& args, size_t column, size_t byte, size_t n_bytes,
                 Tile<Scheme::kStreams>& tile) {
    constexpr size_t kRows = Scheme::kPairs ? 2 : 1;
    constexpr size_t kPlaneBytes = Tile<Scheme::kStreams>::kPlaneBytes;
    const size_t ahead = kTileColumns * args.weight_stride_bytes;  // the next tile
    for (size_t r = 0; r < kTileColumns; r += kRows) {
        const uint8_t* rows[kRows];
        for (size_t i = 0; i < kRows; ++i) {
            const size_t n = column + r + i < args.n_end ? column + r + i : args.n_end - 1;
            rows[i] = args.weights + n * args.weight_stride_bytes + byte;
        }
        for (size_t at = 0; at < n_bytes; at += kChunk) {
            int8x16_t fields[kRows][Scheme::kStreams];
#pragma GCC unroll 2
            for (size_t i = 0; i < kRows; ++i) {
                if (at % 64 == 0) __builtin_prefetch(rows[i] + ahead + at, 0, 2);
                Scheme::unpack(load_part(rows[i] + at, n_bytes - at), fields[i]);
            }
#pragma GCC unroll 4
            for (size_t p = 0; p < Scheme::kStreams; ++p) {
                int8_t* to = tile.fields[p] + r * kPlaneBytes + kRows * at;
                if constexpr (Scheme::kPairs) {
                    const int64x2_t a = vreinterpretq_s64_s8(fields[0][p]);
                    const int64x2_t b = vreinterpretq_s64_s8(fields[1][p]);
                    vst1q_s8(to, vreinterpretq_s8_s64(vzip1q_s64(a, b)));
                    vst1q_s8(to + kChunk, vreinterpretq_s8_s64(vzip2q_s64(a, b)));
                } else {
                    vst1q_s8(to, fields[0][p]);
                }
            }
        }
    }
}

// Adds four finished sums.
inline void add_four(int32_t* sums, int32x4_t v) { vst1q_s32(sums, vaddq_s32(vld1q_s32(sums), v)); }

// Finishes rows (or limbs of them) from `first` on; n_columns of the tile's columns are valid.
inline void finish_tile(const MatmulRowArgs& args, int32_t zero, const TileSums& sums, size_t first,
                        size_t n_rows, size_t column, size_t n_columns) {
    const size_t n_limbs = args.x.n_limbs;
    for (size_t i = 0; i < n_rows; i += n_limbs) {
        for (size_t at = 0; at < n_columns; at += kGroup) {
            const size_t n = n_columns - at < kGroup ? n_columns - at : kGroup;
            int32x4_t digits[kFixedPointLimbs];
            for (size_t limb = 0; limb < n_limbs; ++limb) {
                digits[limb] = vld1q_s32(&sums[i + limb][at]);
            }
            if (n_limbs == 1) {
                finish_row(args, zero, digits[0], first + i, column + at, n);
            } else {
                finish_limbs(args, zero, digits, (first + i) / n_limbs, column + at, n);
            }
        }
    }
}

// A limb of a fixed-point row is multiplied like a row.
template <class Scheme>
void run_many(const MatmulRowArgs& args) {
    constexpr size_t kBlockBytes = kTileFields / Scheme::kStreams;
    const size_t weight_bytes = (args.k + Scheme::kStreams - 1) / Scheme::kStreams;
    const size_t row_bytes = Scheme::kStreams * args.x.stream_bytes;
    const size_t m = args.m * args.x.n_limbs;
    const size_t most_rows = kTileRows / args.x.n_limbs * args.x.n_limbs;
    Tile<Scheme::kStreams> tile;
    alignas(64) TileSums sums;
    for (size_t row = 0; row < m; row += most_rows) {
        const size_t n_rows = m - row < most_rows ? m - row : most_rows;
        for (size_t column = args.n_begin; column < args.n_end; column += kTileColumns) {
            memset(sums, 0, n_rows * sizeof(sums[0]));
            for (size_t byte = 0; byte < weight_bytes; byte += kBlockBytes) {
                const size_t left = weight_bytes - byte;
                const size_t n_bytes = left < kBlockBytes ? left : kBlockBytes;
                unpack_tile<Scheme>(args, column, byte, n_bytes, tile);
                const TileInput x = {args.x.codes + row * row_bytes + byte, row_bytes,
                                     args.x.stream_bytes};
                Scheme::multiply_rows(tile, x, n_rows, (n_bytes + kChunk - 1) / kChunk, sums);
            }
            const size_t left = args.n_end - column;
            finish_tile(args, Scheme::kZero, sums, row, n_rows, column,
                        left < kTileColumns ? left : kTileColumns);
        }
    }
}

// Rows in fours, then what is left: for the schemes without pairs, whose multiply<kMr> takes kMr
// activation rows times four weight rows.
template <class Scheme>
void multiply_in_fours(const Tile<Scheme::kStreams>& tile, TileInput x, size_t n_rows,
                       size_t n_chunks, int32_t (*sums)[kTileColumns]) {
    constexpr size_t kPlaneBytes = Tile<Scheme::kStreams>::kPlaneBytes;
    for (;;) {
        for (size_t column = 0; column < kTileColumns; column += kGroup) {
            for (size_t p = 0; p < Scheme::kStreams; ++p) {
                const int8_t* w = tile.fields[p] + column * kPlaneBytes;
                const int8_t* codes = x.codes + p * x.stream_bytes;
                int32_t* to = sums[0] + column;
                switch (n_rows) {
                    case 1:
                        Scheme::template multiply<1>(w, codes, x.row_bytes, n_chunks, to);
                        break;
                    case 2:
                        Scheme::template multiply<2>(w, codes, x.row_bytes, n_chunks, to);
                        break;
                    case 3:
                        Scheme::template multiply<3>(w, codes, x.row_bytes, n_chunks, to);
                        break;
                    default:
                        Scheme::template multiply<4>(w, codes, x.row_bytes, n_chunks, to);
                }
            }
        }
        if (n_rows <= 4) return;
        n_rows -= 4;
        sums += 4;
        x.codes += 4 * x.row_bytes;
    }
}

}  // namespace
}  // namespace gemlet
