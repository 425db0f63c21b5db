// Prefill: kTileColumns weight rows unpacked once into scratch, then multiplied with all activation
// rows. Included by ISA files only: everything is in an anonymous namespace.
//
// A record holds one group of 32 columns of all rows: signed codes, then the scales of all rows
// and, where the format has them, those of the second 16 columns and the minimums. Codes lie
//   in quads: for each 4 columns 4 bytes of every row, or
//   in pairs (V::kPairs): for each 8 columns 8 bytes of every row,
// so that the lanes of a register, or its halves, are output columns. A lane of the canonical sum
// takes every eighth group, so the eight lanes of all outputs lie in memory (a few KB, in the
// first-level cache) and only integer sums live in registers.
//
// V is the instruction set's: kPairs, kMaxRows and add_codes<kWidth, kHalf, kRows>, which gives the
// sums of one group (or with kHalf of 16 of its columns) for kRows rows and kStepColumns columns.
#pragma once

#include "kernels/matmul_block/row_dots_neon.h"

namespace gemlet {
namespace {

constexpr size_t kTileColumns = 16;
constexpr size_t kStepColumns = 8;  // of two registers of sums
constexpr size_t kVectors = 2;

// Byte offsets inside a record.
template <bool kHalves, bool kMins>
struct Record {
    static constexpr size_t kFloats = kTileColumns * sizeof(float);
    static constexpr size_t kScale = 32 * kTileColumns;
    static constexpr size_t kMin = kScale + (kHalves ? 2 : 1) * kFloats;
    static constexpr size_t kBytes = kMins ? 2 * kMin - kScale : kMin;
};

// Four rows' codes of 16 columns to a record, at the place of row `part`.
template <bool kPairs>
inline void store_codes(const int8x16_t (&rows)[4], size_t half, size_t part, uint8_t* record) {
    float32x4_t v[4];
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; ++i) v[i] = vreinterpretq_f32_s8(rows[i]);
    uint8_t* to = record + 16 * half * kTileColumns;
    if constexpr (kPairs) {
#pragma GCC unroll 2
        for (size_t i = 0; i < 4; i += 2) {
            const int64x2_t a = vreinterpretq_s64_s8(rows[i]);
            const int64x2_t b = vreinterpretq_s64_s8(rows[i + 1]);
            vst1q_s64(reinterpret_cast<int64_t*>(to + 8 * (part + i)), vzip1q_s64(a, b));
            vst1q_s64(reinterpret_cast<int64_t*>(to + 8 * (kTileColumns + part + i)),
                      vzip2q_s64(a, b));
        }
    } else {
        transpose_four(v);
#pragma GCC unroll 4
        for (size_t quad = 0; quad < 4; ++quad) {
            vst1q_f32(reinterpret_cast<float*>(to + 4 * (quad * kTileColumns + part)), v[quad]);
        }
    }
}

// Four rows' values of four groups to the records of these.
inline void store_floats(const float32x4_t (&rows)[4], size_t n_groups, size_t record_bytes,
                         uint8_t* to) {
    float32x4_t v[4] = {rows[0], rows[1], rows[2], rows[3]};
    transpose_four(v);
    for (size_t g = 0; g < n_groups; ++g) {
        vst1q_f32(reinterpret_cast<float*>(to + g * record_bytes), v[g]);
    }
}

// 128 columns of four rows to the first n_groups of four records.
template <bool kPairs, class Rows>
void store_quad(const Block128 (&w)[4], int bias, size_t n_groups, size_t part, uint8_t* record) {
    using R = Record<Rows::kHalves, Rows::kMins>;
    const int8x16_t zero = vdupq_n_s8(static_cast<int8_t>(bias));
    for (size_t g = 0; g < n_groups; ++g) {
        for (size_t half = 0; half < 2; ++half) {
            int8x16_t codes[4];
#pragma GCC unroll 4
            for (size_t i = 0; i < 4; ++i) codes[i] = vsubq_s8(w[i].codes[2 * g + half], zero);
            store_codes<kPairs>(codes, half, part, record + g * R::kBytes);
        }
    }
    for (size_t i = 0; i < (Rows::kHalves ? 2 : 1); ++i) {
        uint8_t* to = record + i * R::kFloats + sizeof(float) * part;
        const float32x4_t scale[4] = {w[0].scale[i], w[1].scale[i], w[2].scale[i], w[3].scale[i]};
        store_floats(scale, n_groups, R::kBytes, to + R::kScale);
        if (!Rows::kMins) continue;
        const float32x4_t min[4] = {w[0].min[i], w[1].min[i], w[2].min[i], w[3].min[i]};
        store_floats(min, n_groups, R::kBytes, to + R::kMin);
    }
}

// Fills the tile with rows n.. in fours as far as n_end goes; a broken four repeats the last row.
template <bool kPairs, class Rows>
void fill_tile(const MatmulBlockArgs& args, Rows& rows, size_t n, uint8_t* tile) {
    using R = Record<Rows::kHalves, Rows::kMins>;
    const size_t n_groups = args.k / 32;
    for (size_t part = 0; part < kTileColumns && n + part < args.n_end; part += kSlots) {
        for (size_t slot = 0; slot < kSlots; ++slot) {
            const size_t row = n + part + slot;
            rows.row(row < args.n_end ? row : args.n_end - 1, slot);
        }
        for (size_t group = 0; group < n_groups; group += 4) {
            Block128 w[kSlots];
            for (size_t slot = 0; slot < kSlots; ++slot) {
                rows.load(group / 8, group / 4 % 2, slot, w[slot]);
            }
            const size_t left = n_groups - group;
            store_quad<kPairs, Rows>(w, rows.bias(), left < 4 ? left : 4, part,
                                     tile + group * R::kBytes);
        }
    }
}

// Activations of kRows rows, at a group.
struct TileInput {
    const int8_t* codes;
    const int16_t* sums;
    const float* scale;
    size_t k;
};

// Adds a record's group to its lane, acc [kRows, kStepColumns]; `record` is at the step's columns.
template <class V, class Rows, size_t kRows>
__attribute__((always_inline)) inline void add_record(const uint8_t* codes, const uint8_t* record,
                                                      const TileInput& x, float* acc) {
    using R = Record<Rows::kHalves, Rows::kMins>;
    constexpr size_t kParts = Rows::kHalves ? 2 : 1;
    float32x4_t t[kRows][kVectors];
#pragma GCC unroll 2
    for (size_t part = 0; part < kParts; ++part) {
        int32x4_t s[kRows][kVectors];
        V::template add_codes<Rows::kWidth, Rows::kHalves, kRows>(codes + part * 16 * kTileColumns,
                                                                  x.codes + 16 * part, x.k, s);
        const auto* scale = reinterpret_cast<const float*>(record + R::kScale + part * R::kFloats);
#pragma GCC unroll 16
        for (size_t i = 0; i < kRows * kVectors; ++i) {
            const float32x4_t dot = vcvtq_f32_s32(s[i / kVectors][i % kVectors]);
            const float32x4_t factor = vld1q_f32(scale + i % kVectors * 4);
            float32x4_t& sum = t[i / kVectors][i % kVectors];
            sum = part == 0 ? vmulq_f32(factor, dot) : vfmaq_f32(sum, factor, dot);
        }
    }
#pragma GCC unroll 8
    for (size_t r = 0; r < kRows; ++r) {
        const int16_t* sums = x.sums + r * x.k / 16;
#pragma GCC unroll 2
        for (size_t part = 0; Rows::kMins && part < kParts; ++part) {
            const auto* min = reinterpret_cast<const float*>(record + R::kMin + part * R::kFloats);
            const int sum = Rows::kHalves ? sums[part] : sums[0] + sums[1];
#pragma GCC unroll 2
            for (size_t i = 0; i < kVectors; ++i) {
                t[r][i] = vfmsq_n_f32(t[r][i], vld1q_f32(min + i * 4), static_cast<float>(sum));
            }
        }
        const float scale = x.scale[r * x.k / 32];
#pragma GCC unroll 2
        for (size_t i = 0; i < kVectors; ++i) {
            float* at = acc + r * kStepColumns + i * 4;
            vst1q_f32(at, vfmaq_n_f32(vld1q_f32(at), t[r][i], scale));
        }
    }
}

// Rows m0..m0+kRows-1 times kStepColumns columns of the tile, n_valid of them stored.
template <class V, class Rows, size_t kRows>
__attribute__((noinline)) void multiply_step(const MatmulBlockArgs& args, const uint8_t* tile,
                                             size_t step, size_t m0, size_t n, size_t n_valid) {
    using R = Record<Rows::kHalves, Rows::kMins>;
    constexpr size_t kBytesOfColumn = V::kPairs ? 8 : 4;
    float acc[8][kRows][kStepColumns];
    memset(acc, 0, sizeof(acc));
    const size_t n_groups = args.k / 32;
    for (size_t g = 0; g < n_groups; ++g) {
        const size_t at = m0 * args.k + 32 * g;
        const TileInput x = {args.x.codes + at, args.x.sums + at / 16, args.x.scale + at / 32,
                             args.k};
        const uint8_t* record = tile + g * R::kBytes;
        add_record<V, Rows, kRows>(record + step * kBytesOfColumn, record + step * sizeof(float), x,
                                   acc[g % 8][0]);
    }
    for (size_t r = 0; r < kRows; ++r) {
        float out[kStepColumns];
        for (size_t i = 0; i < kStepColumns; i += 4) {
            float32x4_t sum = vld1q_f32(acc[0][r] + i);
            for (size_t lane = 1; lane < 8; ++lane) {
                sum = vaddq_f32(sum, vld1q_f32(acc[lane][r] + i));
            }
            vst1q_f32(out + i, sum);
        }
        memcpy(args.out + (m0 + r) * args.out_stride + n, out, n_valid * sizeof(float));
    }
}

template <class V, class Rows, size_t kRows>
void multiply_columns(const MatmulBlockArgs& args, const uint8_t* tile, size_t m0, size_t n) {
    for (size_t step = 0; step < kTileColumns && n + step < args.n_end; step += kStepColumns) {
        const size_t left = args.n_end - n - step;
        multiply_step<V, Rows, kRows>(args, tile, step, m0, n + step,
                                      left < kStepColumns ? left : kStepColumns);
    }
}

// At least 4 activation rows. Rows left over at the end are multiplied in fours; the last four may
// take rows again, which gives the same bits.
template <class V, class Rows>
void multiply_many(const MatmulBlockArgs& args, Rows& rows, uint8_t* tile) {
    for (size_t n = args.n_begin; n < args.n_end; n += kTileColumns) {
        fill_tile<V::kPairs>(args, rows, n, tile);
        for (size_t m = 0; m < args.m;) {
            const size_t left = args.m - m;
            if (left >= V::kMaxRows) {
                multiply_columns<V, Rows, V::kMaxRows>(args, tile, m, n);
                m += V::kMaxRows;
            } else {
                const size_t from = left >= 4 ? m : args.m - 4;
                multiply_columns<V, Rows, 4>(args, tile, from, n);
                m = from + 4;
            }
        }
    }
}

template <class Arith, class V>
void run_variant(const MatmulBlockArgs& args) {
    if (args.m == 0 || args.n_begin >= args.n_end) return;
    uint8_t* work = args.scratch + unpacked_bytes(args.k);
    with_rows(args, args.scratch, [&](auto rows) {
        if (args.m <= kMaxDotRows) return multiply_few<Arith>(args, rows, work);
        multiply_many<V>(args, rows, work);
    });
}

}  // namespace
}  // namespace gemlet
