// Many activation rows with 512-bit registers, for AVX-512 VNNI and AMX.
//
// kTileColumns weight rows are unpacked, kTileFields fields each, into a tile that stays in L1
// while up to kTileRows activation rows stream by. A 32-bit lane of a tile register holds four
// neighbouring bytes of one weight row ("quad"), so a register serves sixteen outputs, the
// activations that meet it are one broadcast quad, and no sum is ever folded across lanes. (The
// same 64 bytes are a row of the B tile of AMX.) Turning the quads costs 5 shuffles for 16 packed
// bytes of 16 rows, once for all activation rows: 2 % at 256 rows.
// Between blocks of k the sums rest on the stack, beside the tile.
//
// A scheme says how a tile is multiplied:
//   kColumns, kFields, kType   size of the tile, weight type
//   multiply_rows              adds activation rows times the tile to the sums
#pragma once

#include "kernels/matmul_row/row_finish_avx2.h"

namespace gemlet {
namespace {

constexpr size_t kLanes = 16;
constexpr size_t kQuad = 4;  // bytes
constexpr size_t kTileRows = 256;

// Streams of a type, which are the fields of a weight byte, and the zero point of its fields.
template <WeightType kType>
struct Traits;
template <>
struct Traits<WeightType::i2r> {
    static constexpr size_t kStreams = 4;
    static constexpr int32_t kZero = 2;
};
template <>
struct Traits<WeightType::i4r> {
    static constexpr size_t kStreams = 2;
    static constexpr int32_t kZero = 8;
};
template <>
struct Traits<WeightType::i8r> {
    static constexpr size_t kStreams = 1;
    static constexpr int32_t kZero = 128;
};

template <WeightType kType>
inline void unpack(__m512i raw, __m512i* fields) {
    if constexpr (kType == WeightType::i2r) {
        const __m512i mask = _mm512_set1_epi8(3);
        fields[0] = _mm512_and_si512(raw, mask);
        fields[1] = _mm512_and_si512(_mm512_srli_epi16(raw, 2), mask);
        fields[2] = _mm512_and_si512(_mm512_srli_epi16(raw, 4), mask);
        fields[3] = _mm512_and_si512(_mm512_srli_epi16(raw, 6), mask);
    } else if constexpr (kType == WeightType::i4r) {
        const __m512i mask = _mm512_set1_epi8(15);
        fields[0] = _mm512_and_si512(raw, mask);
        fields[1] = _mm512_and_si512(_mm512_srli_epi16(raw, 4), mask);
    } else {
        fields[0] = _mm512_xor_si512(raw, _mm512_set1_epi8(-128));
    }
}

// Planes follow each other at kPlaneBytes; a plane is [quad][register][lane][4].
template <size_t kColumns, size_t kFields, size_t kPlanes>
struct Tile {
    static constexpr size_t kQuadBytes = kColumns * kQuad;
    static constexpr size_t kPlaneQuads = kFields / kPlanes / kQuad;
    alignas(64) uint8_t fields[kPlanes][kPlaneQuads][kQuadBytes];
};

// Activations of some rows, at the tile's place in k.
struct TileInput {
    const int8_t* codes;
    size_t row_bytes;
    size_t stream_bytes;
};

// 16 bytes of a weight row; those beyond n are zero and not read.
inline __m128i load_sixteen(const uint8_t* p, size_t n) {
    if (n >= 16) return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    uint8_t copy[16] = {};
    memcpy(copy, p, n);
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(copy));
}

// Four quads of each of sixteen weight rows, turned so that register j holds quad j of all.
inline void load_turned(const uint8_t* const* rows, size_t byte, size_t n, __m512i* quads) {
    __m512i v[kQuad];
#pragma GCC unroll 8
    for (size_t a = 0; a < kQuad; ++a) {
        const __m512i first = _mm512_zextsi128_si512(load_sixteen(rows[a] + byte, n));
        const __m512i two = _mm512_inserti32x4(first, load_sixteen(rows[4 + a] + byte, n), 1);
        const __m512i three = _mm512_inserti32x4(two, load_sixteen(rows[8 + a] + byte, n), 2);
        v[a] = _mm512_inserti32x4(three, load_sixteen(rows[12 + a] + byte, n), 3);
    }
    const __m512i low01 = _mm512_unpacklo_epi32(v[0], v[1]);
    const __m512i high01 = _mm512_unpackhi_epi32(v[0], v[1]);
    const __m512i low23 = _mm512_unpacklo_epi32(v[2], v[3]);
    const __m512i high23 = _mm512_unpackhi_epi32(v[2], v[3]);
    quads[0] = _mm512_unpacklo_epi64(low01, low23);
    quads[1] = _mm512_unpackhi_epi64(low01, low23);
    quads[2] = _mm512_unpacklo_epi64(high01, high23);
    quads[3] = _mm512_unpackhi_epi64(high01, high23);
}

// Unpacks n_bytes bytes from `byte` on of the n_columns weight rows from `column` on, and as many
// more as fill the last register: these repeat the last row. Bytes beyond a row's end meet
// activations of zero.
template <class Scheme, class TileType>
void unpack_tile(const MatmulRowArgs& args, size_t column, size_t n_columns, size_t byte,
                 size_t n_bytes, TileType& tile) {
    constexpr size_t kPlanes = Traits<Scheme::kType>::kStreams;
    const uint8_t* rows[Scheme::kColumns];
    for (size_t r = 0; r < Scheme::kColumns; ++r) {
        const size_t n = column + (r < n_columns ? r : n_columns - 1);
        rows[r] = args.weights + n * args.weight_stride_bytes + byte;
    }
    // The next tile's packed rows are asked for meanwhile, line after line.
    const auto* next = reinterpret_cast<const char*>(rows[0]) - byte +
                       n_columns * (args.weight_stride_bytes + byte);
    for (size_t v = 0; v * kLanes < n_columns; ++v) {
        for (size_t at = 0; at < n_bytes; at += kQuad * kQuad) {
#pragma GCC unroll 8
            for (size_t line = 0; line < 4; ++line) _mm_prefetch(next + line * 64, _MM_HINT_T1);
            next += kLanes * kQuad * kQuad;
            __m512i quads[kQuad];
            load_turned(rows + v * kLanes, at, n_bytes - at, quads);
#pragma GCC unroll 8
            for (size_t j = 0; j < kQuad; ++j) {
                __m512i fields[kPlanes];
                unpack<Scheme::kType>(quads[j], fields);
#pragma GCC unroll 8
                for (size_t p = 0; p < kPlanes; ++p) {
                    _mm512_store_si512(tile.fields[p][at / kQuad + j] + v * 64, fields[p]);
                }
            }
        }
    }
}

// The end of sixteen sums: row_finish_avx2.h for whole registers.
inline void finish_sixteen(const MatmulRowArgs& args, int32_t zero, const int32_t* sums, size_t row,
                           size_t column) {
    const __m512i excess = _mm512_set1_epi32(excess_of(zero, args.x.sums[row]));
    const __m512 acc = _mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_loadu_si512(sums), excess));
    const __m512 weight_scale = _mm512_loadu_ps(args.weight_scale + column * sizeof(float));
    __m512 y = _mm512_mul_ps(acc, _mm512_mul_ps(_mm512_set1_ps(args.x.scale[row]), weight_scale));
    if (args.output_scale > 0.0F) {
        const __m512 step = _mm512_set1_ps(args.output_scale);
        y = _mm512_roundscale_ps(_mm512_div_ps(y, step),
                                 _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
        y = _mm512_min_ps(_mm512_max_ps(y, _mm512_set1_ps(-128.0F)), _mm512_set1_ps(127.0F));
        if (args.out_codes != nullptr) {
            int8_t* to = args.out_codes + row * args.out_codes_stride + column;
            _mm_storeu_si128(reinterpret_cast<__m128i*>(to),
                             _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(y)));
            return;
        }
        y = _mm512_mul_ps(y, step);
    }
    _mm512_storeu_ps(args.out + row * args.out_stride + column, y);
}

// Finishes rows from `row` on; `n_columns` of the tile's columns are valid.
inline void finish_tile(const MatmulRowArgs& args, int32_t zero, const int32_t* sums, size_t stride,
                        size_t row, size_t n_rows, size_t column, size_t n_columns) {
    for (size_t i = 0; i < n_rows; ++i, sums += stride) {
        size_t at = 0;
        for (; at + kLanes <= n_columns; at += kLanes) {
            finish_sixteen(args, zero, sums + at, row + i, column + at);
        }
        for (; at < n_columns; at += kGroup) {
            const size_t n = n_columns - at < kGroup ? n_columns - at : kGroup;
            const __m128i acc = _mm_loadu_si128(reinterpret_cast<const __m128i*>(sums + at));
            finish_row(args, zero, acc, row + i, column + at, n);
        }
    }
}

template <class Scheme>
void run_many(const MatmulRowArgs& args) {
    constexpr size_t kStreams = Traits<Scheme::kType>::kStreams;
    constexpr size_t kColumns = Scheme::kColumns;
    constexpr size_t kBlockBytes = Scheme::kFields / kStreams;
    const size_t weight_bytes = (args.k + kStreams - 1) / kStreams;
    const size_t row_bytes = kStreams * args.x.stream_bytes;
    Tile<kColumns, Scheme::kFields, kStreams> tile;
    alignas(64) int32_t sums[kTileRows][kColumns];
    for (size_t row = 0; row < args.m; row += kTileRows) {
        const size_t n_rows = args.m - row < kTileRows ? args.m - row : kTileRows;
        for (size_t column = args.n_begin; column < args.n_end; column += kColumns) {
            const size_t rest = args.n_end - column;
            const size_t n_columns = rest < kColumns ? rest : kColumns;
            memset(sums, 0, n_rows * sizeof(sums[0]));
            for (size_t byte = 0; byte < weight_bytes; byte += kBlockBytes) {
                const size_t left = weight_bytes - byte;
                const size_t n_bytes = left < kBlockBytes ? left : kBlockBytes;
                unpack_tile<Scheme>(args, column, n_columns, byte, n_bytes, tile);
                const TileInput x = {args.x.codes + row * row_bytes + byte, row_bytes,
                                     args.x.stream_bytes};
                Scheme::multiply_rows(tile, x, n_rows, n_columns, n_bytes, sums);
            }
            finish_tile(args, Traits<Scheme::kType>::kZero, &sums[0][0], kColumns, row, n_rows,
                        column, n_columns);
        }
    }
}

}  // namespace
}  // namespace gemlet
