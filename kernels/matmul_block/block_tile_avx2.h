// Prefill: kNr weight rows unpacked once into scratch, interleaved so that a vector lane is an
// output column. Included by ISA files only: everything is in an anonymous namespace.
//
// A record holds one group of 32 columns: for each 4 columns the codes of all rows, 4 bytes each,
// then the scales of all rows and, where the format has them, those of the second 16 columns and
// the minimums. Records follow the canonical sum: all groups of lane 0, then those of lane 1, ...
#pragma once

#include "kernels/matmul_block/block_rows_avx2.h"

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

// Groups of a lane.
inline size_t lane_groups(size_t n_groups, size_t lane) { return (n_groups + 7 - lane) / 8; }

// Turns 8 vectors of 8 elements of 4 bytes: element j of v[i] becomes element i of v[j].
inline void transpose(__m256i v[8]) {
    __m256i a[8];
    __m256i b[8];
    for (int i = 0; i < 4; ++i) {
        a[2 * i] = _mm256_unpacklo_epi32(v[2 * i], v[2 * i + 1]);
        a[2 * i + 1] = _mm256_unpackhi_epi32(v[2 * i], v[2 * i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        b[i] = _mm256_unpacklo_epi64(a[i], a[i + 2]);
        b[i + 1] = _mm256_unpackhi_epi64(a[i], a[i + 2]);
        b[i + 2] = _mm256_unpacklo_epi64(a[i + 1], a[i + 3]);
        b[i + 3] = _mm256_unpackhi_epi64(a[i + 1], a[i + 3]);
    }
    for (int i = 0; i < 4; ++i) {
        v[i] = _mm256_permute2x128_si256(b[i], b[i + 4], 0x20);
        v[i + 4] = _mm256_permute2x128_si256(b[i], b[i + 4], 0x31);
    }
}

// 256 columns of 8 rows, before they are turned.
struct EightRows {
    __m256i codes[8][8];  // [group][row]
    __m256i scale[2][8];  // [half][row]
    __m256i min[2][8];
};

template <class Rows>
void load_eight(const Rows& rows, size_t block, bool flip_sign, EightRows& eight) {
    const __m256i flip = _mm256_set1_epi8(flip_sign ? -128 : 0);
    for (size_t slot = 0; slot < kSlots; ++slot) {
        Block256 w;
        rows.load(block, slot, w);
        for (int g = 0; g < 8; ++g) eight.codes[g][slot] = _mm256_xor_si256(w.codes[g], flip);
        for (int h = 0; h < (Rows::kHalves ? 2 : 1); ++h) {
            eight.scale[h][slot] = _mm256_castps_si256(w.scale[h]);
            if (Rows::kMins) eight.min[h][slot] = _mm256_castps_si256(w.min[h]);
        }
    }
}

// Fills the tile with rows n.. (the last row again beyond n_end). With kFlip, signed codes become
// unsigned ones with a bias of 128.
template <size_t kNr, bool kFlip, class Rows>
void fill_tile(const MatmulBlockArgs& args, Rows& rows, size_t n, uint8_t* tile) {
    using R = Record<kNr, Rows::kHalves, Rows::kMins>;
    constexpr bool kFlipThis = kFlip && Rows::kWidth == Width::s8;
    constexpr int kPerGroup = Rows::kHalves ? 2 : 1;
    const size_t n_groups = args.k / 32;
    uint8_t* lane_start[8];
    lane_start[0] = tile;
    for (size_t g = 1; g < 8; ++g) {
        lane_start[g] = lane_start[g - 1] + lane_groups(n_groups, g - 1) * R::kBytes;
    }
    for (size_t part = 0; part < kNr; part += kSlots) {
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
            const size_t left = n_groups - 8 * block;
            for (size_t g = 0; g < (left < 8 ? left : 8); ++g) {
                uint8_t* record = lane_start[g] + block * R::kBytes + 4 * part;
                transpose(eight.codes[g]);
                for (size_t j = 0; j < 8; ++j) store_256(record + j * R::kChunk, eight.codes[g][j]);
                for (int h = 0; h < kPerGroup; ++h) {
                    const size_t at = static_cast<size_t>(h) * R::kChunk;
                    store_256(record + R::kScale + at, eight.scale[h][g]);
                    if (Rows::kMins) store_256(record + R::kMin + at, eight.min[h][g]);
                }
            }
        }
    }
}

}  // namespace
}  // namespace gemlet
