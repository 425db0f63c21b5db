// Prefill: kNr weight rows unpacked once into scratch, interleaved so that a vector lane is an
// output column. Included by ISA files only: everything is in an anonymous namespace.
//
// A record holds one group of 32 columns: for each 4 columns the codes of all rows, 4 bytes each,
// then the scales of all rows and, where the format has them, those of the second 16 columns and
// the minimums. Records follow the columns.
#pragma once

#include "kernels/matmul_block/block_rows_avx2.h"
#include "kernels/matmul_block/turn_avx2.h"

namespace gemlet {
namespace {

// Byte offsets inside a record.
template <size_t kNr, bool kHalves, bool kMins>
struct Record {
    static constexpr size_t kChunk = 4 * kNr;  // 4 columns of all rows, or one float of all rows
    static constexpr size_t kScale = 8 * kChunk;
    static constexpr size_t kMin = kScale + (kHalves ? 2 : 1) * kChunk;
    static constexpr size_t kBytes = kMins ? 2 * kMin - kScale : kMin;
};

// 256 columns of 8 rows, before they are turned.
struct EightRows {
    __m256i codes[8][8];  // [vector of a Block256][row]; when turned [..][4 columns of 2 groups]
    __m256i scale[2][8];  // [half][row]; when turned [half][lane, see kGroupOfLane]
    __m256i min[2][8];
};

template <class Rows>
void load_eight(const Rows& rows, size_t block, bool flip_sign, EightRows& eight) {
    const __m256i flip = _mm256_set1_epi8(flip_sign ? -128 : 0);
    for (size_t slot = 0; slot < kSlots; ++slot) {
        Block256 w;
        rows.load(block, slot, w);
#pragma GCC unroll 8
        for (int g = 0; g < 8; ++g) eight.codes[g][slot] = _mm256_xor_si256(w.codes[g], flip);
        for (int h = 0; h < (Rows::kHalves ? 2 : 1); ++h) {
            eight.scale[h][slot] = _mm256_castps_si256(w.scale[h]);
            if (Rows::kMins) eight.min[h][slot] = _mm256_castps_si256(w.min[h]);
        }
    }
}

// Writes one group of eight turned rows to its record.
template <class R>
inline void store_group(const EightRows& eight, size_t group, size_t lane, int per_group,
                        bool has_mins, uint8_t* record) {
#pragma GCC unroll 8
    for (size_t chunk = 0; chunk < 8; ++chunk) {
        const __m256i* codes = eight.codes[group / 2 * 2 + chunk / 4];
        store_256(record + chunk * R::kChunk, codes[group % 2 * 4 + chunk % 4]);
    }
    for (int h = 0; h < per_group; ++h) {
        const size_t at = static_cast<size_t>(h) * R::kChunk;
        store_256(record + R::kScale + at, eight.scale[h][lane]);
        if (has_mins) store_256(record + R::kMin + at, eight.min[h][lane]);
    }
}

// Fills the tile with rows n.. in eights as far as n_end goes; a broken eight repeats the last row.
// With kFlip, signed codes become unsigned ones with a bias of 128.
template <size_t kNr, bool kFlip, class Rows>
void fill_tile(const MatmulBlockArgs& args, Rows& rows, size_t n, uint8_t* tile) {
    using R = Record<kNr, Rows::kHalves, Rows::kMins>;
    constexpr bool kFlipThis = kFlip && Rows::kWidth == Width::s8;
    constexpr int kPerGroup = Rows::kHalves ? 2 : 1;
    const size_t n_groups = args.k / 32;
    for (size_t part = 0; part < kNr && n + part < args.n_end; part += kSlots) {
        for (size_t slot = 0; slot < kSlots; ++slot) {
            const size_t row = n + part + slot;
            rows.row(row < args.n_end ? row : args.n_end - 1, slot);
        }
        for (size_t block = 0; 8 * block < n_groups; ++block) {
            EightRows eight;
            load_eight(rows, block, kFlipThis, eight);
            for (int h = 0; h < kPerGroup; ++h) {
                transpose(eight.scale[h]);
                if (Rows::kMins) transpose(eight.min[h]);
            }
            for (__m256i* codes : eight.codes) transpose(codes);
            uint8_t* record = tile + 8 * block * R::kBytes + 4 * part;
            for (size_t lane = 0; lane < 8; ++lane) {
                const size_t group = kGroupOfLane[lane];
                if (8 * block + group >= n_groups) continue;
                store_group<R>(eight, group, lane, kPerGroup, Rows::kMins,
                               record + group * R::kBytes);
            }
        }
    }
}

}  // namespace
}  // namespace gemlet
