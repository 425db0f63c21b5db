// Many activation rows with 256-bit registers, for AVX2 and AVX-VNNI.
//
// kTileColumns weight rows are unpacked, kTileFields fields each, into a tile that stays in L1
// while up to kTileRows activation rows stream by. A 32-bit lane of a tile register holds four
// neighbouring bytes of one weight row ("quad"), so a register serves eight outputs, the
// activations that meet it are one broadcast quad, and no sum is ever folded across lanes.
// Between blocks of k the sums rest on the stack: 16 KiB, and 16 KiB for the tile.
//
// A scheme says how weight bytes become fields and how they are multiplied:
//   kStreams, kPlanes  fields of a weight byte; planes differ where int8 becomes two nibbles
//   kZero              what a field has too much
//   unpack             32 weight bytes to one register per plane
//   multiply<kMr>      adds kMr activation rows times the tile to the sums
#pragma once

#include "kernels/matmul_row/row_finish_avx2.h"

namespace gemlet {
namespace {

constexpr size_t kTileColumns = 16;
constexpr size_t kTileVectors = 2;
constexpr size_t kTileFields = 1024;
constexpr size_t kTileRows = 256;
constexpr size_t kQuad = 4;  // bytes
constexpr size_t kTileQuadBytes = kTileColumns * kQuad;

using TileSums = int32_t[kTileRows][kTileColumns];

template <size_t kPlanes>
struct Tile {
    static constexpr size_t kPlaneQuads = kTileFields / kPlanes / kQuad;
    alignas(64) uint8_t fields[kPlanes][kPlaneQuads][kTileVectors][kTileQuadBytes / kTileVectors];
};

// Activations of some rows, at the tile's place in k.
struct TileInput {
    const int8_t* codes;
    size_t row_bytes;
    size_t stream_bytes;
};

inline __m256i broadcast_quad(const int8_t* codes) {
    int32_t quad = 0;
    memcpy(&quad, codes, sizeof(quad));
    __m256i x = _mm256_set1_epi32(quad);
    __asm__("" : "+x"(x));  // else it is loaded for each product; loads are the limit
    return x;
}

// 16 bytes of a weight row; those beyond n are zero and not read.
inline __m128i load_sixteen(const uint8_t* p, size_t n) {
    if (n >= 16) return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    uint8_t copy[16] = {};
    memcpy(copy, p, n);
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(copy));
}

// Four quads of each of eight weight rows, turned so that register j holds quad j of all of them.
inline void load_turned(const uint8_t* const* rows, size_t byte, size_t n, __m256i* quads) {
    __m256i v[kQuad];
#pragma GCC unroll 8
    for (size_t a = 0; a < kQuad; ++a) {
        v[a] = _mm256_inserti128_si256(_mm256_castsi128_si256(load_sixteen(rows[a] + byte, n)),
                                       load_sixteen(rows[kQuad + a] + byte, n), 1);
    }
    const __m256i low01 = _mm256_unpacklo_epi32(v[0], v[1]);
    const __m256i high01 = _mm256_unpackhi_epi32(v[0], v[1]);
    const __m256i low23 = _mm256_unpacklo_epi32(v[2], v[3]);
    const __m256i high23 = _mm256_unpackhi_epi32(v[2], v[3]);
    quads[0] = _mm256_unpacklo_epi64(low01, low23);
    quads[1] = _mm256_unpackhi_epi64(low01, low23);
    quads[2] = _mm256_unpacklo_epi64(high01, high23);
    quads[3] = _mm256_unpackhi_epi64(high01, high23);
}

// Unpacks n_bytes bytes from `byte` on of the weight rows from `column` on. Rows that do not exist
// repeat the last one; bytes beyond a row's end meet activations of zero.
template <class Scheme>
void unpack_tile(const MatmulRowArgs& args, size_t column, size_t byte, size_t n_bytes,
                 Tile<Scheme::kPlanes>& tile) {
    const uint8_t* rows[kTileColumns];
    for (size_t r = 0; r < kTileColumns; ++r) {
        const size_t n = column + r < args.n_end ? column + r : args.n_end - 1;
        rows[r] = args.weights + n * args.weight_stride_bytes + byte;
    }
    // The next tile's packed rows are asked for meanwhile, line after line.
    const auto* next = reinterpret_cast<const char*>(rows[0]) - byte +
                       kTileColumns * (args.weight_stride_bytes + byte);
    for (size_t at = 0; at < n_bytes; at += kQuad * kQuad) {
        for (size_t v = 0; v < kTileVectors; ++v) {
            _mm_prefetch(next, _MM_HINT_T1);
            _mm_prefetch(next + 64, _MM_HINT_T1);
            next += 128;
            __m256i quads[kQuad];
            load_turned(rows + v * 8, at, n_bytes - at, quads);
#pragma GCC unroll 8
            for (size_t j = 0; j < kQuad; ++j) {
                __m256i fields[Scheme::kPlanes];
                Scheme::unpack(quads[j], fields);
#pragma GCC unroll 8
                for (size_t p = 0; p < Scheme::kPlanes; ++p) {
                    auto* to = reinterpret_cast<__m256i*>(tile.fields[p][at / kQuad + j][v]);
                    _mm256_store_si256(to, fields[p]);
                }
            }
        }
    }
}

// The end of eight sums: row_finish_avx2.h for whole registers.
inline void finish_eight(const MatmulRowArgs& args, int32_t zero, const int32_t* sums, size_t row,
                         size_t column) {
    const __m256i excess = _mm256_set1_epi32(excess_of(zero, args.x.sums[row]));
    const __m256 acc = _mm256_cvtepi32_ps(_mm256_sub_epi32(load(sums), excess));
    const __m256 weight_scale =
        _mm256_castsi256_ps(load(args.weight_scale + column * sizeof(float)));
    __m256 y = _mm256_mul_ps(acc, _mm256_mul_ps(_mm256_set1_ps(args.x.scale[row]), weight_scale));
    if (args.output_scale > 0.0F) {
        const __m256 step = _mm256_set1_ps(args.output_scale);
        y = _mm256_round_ps(_mm256_div_ps(y, step), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
        y = _mm256_min_ps(_mm256_max_ps(y, _mm256_set1_ps(-128.0F)), _mm256_set1_ps(127.0F));
        if (args.out_codes != nullptr) {
            const __m256i codes = _mm256_cvtps_epi32(y);
            const __m128i words =
                _mm_packs_epi32(_mm256_castsi256_si128(codes), _mm256_extracti128_si256(codes, 1));
            int8_t* to = args.out_codes + row * args.out_codes_stride + column;
            _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packs_epi16(words, words));
            return;
        }
        y = _mm256_mul_ps(y, step);
    }
    _mm256_storeu_ps(args.out + row * args.out_stride + column, y);
}

// The same for fixed-point rows, whose limbs lie one behind the other.
inline void finish_limbs_of_tile(const MatmulRowArgs& args, int32_t zero, const TileSums& sums,
                                 size_t first, size_t n_limb_rows, size_t column,
                                 size_t n_columns) {
    for (size_t i = 0; i < n_limb_rows; i += kFixedPointLimbs) {
        for (size_t at = 0; at < n_columns; at += kGroup) {
            __m128i digits[kFixedPointLimbs];
            for (size_t limb = 0; limb < kFixedPointLimbs; ++limb) {
                const auto* from = reinterpret_cast<const __m128i*>(&sums[i + limb][at]);
                digits[limb] = _mm_loadu_si128(from);
            }
            const size_t n = n_columns - at < kGroup ? n_columns - at : kGroup;
            finish_limbs(args, zero, digits, (first + i) / kFixedPointLimbs, column + at, n);
        }
    }
}

// Finishes rows from `row` on; `n_columns` of the tile's columns are valid.
inline void finish_tile(const MatmulRowArgs& args, int32_t zero, const TileSums& sums, size_t row,
                        size_t n_rows, size_t column, size_t n_columns) {
    for (size_t i = 0; i < n_rows; ++i) {
        size_t at = 0;
        for (; at + 8 <= n_columns; at += 8) {
            finish_eight(args, zero, &sums[i][at], row + i, column + at);
        }
        for (; at < n_columns; at += kGroup) {
            const size_t n = n_columns - at < kGroup ? n_columns - at : kGroup;
            const __m128i acc = _mm_loadu_si128(reinterpret_cast<const __m128i*>(&sums[i][at]));
            finish_row(args, zero, acc, row + i, column + at, n);
        }
    }
}

// A limb of a fixed-point row is multiplied like a row.
template <class Scheme>
void run_many(const MatmulRowArgs& args) {
    constexpr size_t kBlockBytes = kTileFields / Scheme::kPlanes;
    const size_t weight_bytes = (args.k + Scheme::kStreams - 1) / Scheme::kStreams;
    const size_t row_bytes = Scheme::kStreams * args.x.stream_bytes;
    const size_t m = args.m * args.x.n_limbs;
    const size_t most_rows = kTileRows / args.x.n_limbs * args.x.n_limbs;
    Tile<Scheme::kPlanes> tile;
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
                Scheme::multiply_rows(tile, x, n_rows, (n_bytes + kQuad - 1) / kQuad, sums);
            }
            const size_t left = args.n_end - column;
            const size_t n = left < kTileColumns ? left : kTileColumns;
            if (args.x.n_limbs == 1) {
                finish_tile(args, Scheme::kZero, sums, row, n_rows, column, n);
            } else {
                finish_limbs_of_tile(args, Scheme::kZero, sums, row, n_rows, column, n);
            }
        }
    }
}

}  // namespace
}  // namespace gemlet
