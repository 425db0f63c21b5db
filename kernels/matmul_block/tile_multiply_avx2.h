// Prefill: activation rows times a tile of weight rows. Included by ISA files only: everything is
// in an anonymous namespace.
//
// A lane of the canonical sum takes every eighth group, so the eight lanes of all outputs lie in
// memory (a few KB, always in L1) and only integer sums live in registers: columns are walked in
// order, and each weight vector is used by as many rows as registers allow.
//
// V is the instruction set's: kLanes, kMaxRows, kMaxRowsHalves, kFlip, Ints, Floats, load, store,
// set1, mul, fmadd, fnmadd, add, to_floats and add_chunks (products of kChunks times 4 columns).
#pragma once

#include "kernels/matmul_block/block_tile_avx2.h"

namespace gemlet {
namespace {

// The float half of V for 256-bit instruction sets.
struct Vectors256 {
    using Ints = __m256i;
    using Floats = __m256;
    static constexpr size_t kLanes = 8;
    static Floats load(const float* p) { return _mm256_loadu_ps(p); }
    static void store(float* p, Floats v) { _mm256_storeu_ps(p, v); }
    static Floats set1(float v) { return _mm256_set1_ps(v); }
    static Floats add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
    static Floats mul(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
    static Floats fmadd(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
    static Floats fnmadd(Floats a, Floats b, Floats c) { return _mm256_fnmadd_ps(a, b, c); }
    static Floats to_floats(Ints v) { return _mm256_cvtepi32_ps(v); }
};

// What a record's sums need of 256 columns of the activations: -bias * sum of codes, and the sum.
template <size_t kRows>
struct RowTerms {
    int32_t start[2][kRows][8];
    float sum[2][kRows][8];
};

template <class K, size_t kRows>
inline void fill_terms(const MatmulBlockArgs& args, size_t at, size_t n_groups, int bias,
                       RowTerms<kRows>& terms) {
    for (size_t r = 0; r < kRows; ++r) {
        const int16_t* stored = args.x.sums + (at + r * args.k) / 16;
        __m256i pairs;
        if (n_groups == 8) {
            pairs = load_256(stored);
        } else {
            alignas(32) int16_t sums[16] = {};
            memcpy(sums, stored, 2 * n_groups * sizeof(int16_t));
            pairs = load_256(sums);
        }
        for (int part = 0; part < (K::kHalves ? 2 : 1); ++part) {
            const __m256i pick = _mm256_set1_epi32(K::kHalves ? 0xffff << (16 * part) : -1);
            const __m256i factor = _mm256_set1_epi16(static_cast<short>(-bias));
            store_256(terms.start[part][r],
                      _mm256_madd_epi16(_mm256_and_si256(pairs, pick), factor));
            if (K::kMins) {
                const __m256i sum =
                    _mm256_madd_epi16(_mm256_and_si256(pairs, pick), _mm256_set1_epi16(1));
                _mm256_storeu_ps(terms.sum[part][r], _mm256_cvtepi32_ps(sum));
            }
        }
    }
}

// Adds row r's scaled sums t of group g to their lane, once the minimums are taken off.
template <class V, class K, int kVectors, size_t kRows>
__attribute__((always_inline)) inline void finish_row(const uint8_t* record,
                                                      const RowTerms<kRows>& terms, size_t r,
                                                      size_t g, float x_scale,
                                                      typename V::Floats t[kVectors], float* lane) {
    using R = Record<2 * V::kLanes, K::kHalves, K::kMins>;
#pragma GCC unroll 2
    for (int part = 0; K::kMins && part < (K::kHalves ? 2 : 1); ++part) {
        const auto* min = reinterpret_cast<const float*>(record + R::kMin + part * R::kChunk);
        const typename V::Floats sum = V::set1(terms.sum[part][r][g]);
#pragma GCC unroll 2
        for (int i = 0; i < kVectors; ++i) {
            t[i] = V::fnmadd(V::load(min + V::kLanes * i), sum, t[i]);
        }
    }
    const typename V::Floats scale = V::set1(x_scale);
#pragma GCC unroll 2
    for (int i = 0; i < kVectors; ++i) {
        float* at = lane + V::kLanes * i;
        V::store(at, V::fmadd(scale, t[i], V::load(at)));
    }
}

// Adds record g of a block of eight to its lane, acc [kRows, kNr].
template <class V, class K, size_t kRows, int kVectors>
__attribute__((always_inline)) inline void add_record(const uint8_t* record,
                                                      const MatmulBlockArgs& args, size_t at,
                                                      const RowTerms<kRows>& terms, size_t g,
                                                      float* acc) {
    using R = Record<2 * V::kLanes, K::kHalves, K::kMins>;
    constexpr int kParts = K::kHalves ? 2 : 1;
    constexpr int kChunks = 8 / kParts;
    typename V::Floats t[kRows][kVectors];
#pragma GCC unroll 2
    for (int part = 0; part < kParts; ++part) {
        typename V::Ints s[kRows][kVectors];
        V::template add_chunks<K::kWidth, kChunks, kRows, kVectors>(
            record + static_cast<size_t>(part * kChunks) * R::kChunk,
            args.x.codes + at + 4 * part * kChunks, args.k, terms.start[part], g, s);
        const auto* scale = reinterpret_cast<const float*>(record + R::kScale + part * R::kChunk);
#pragma GCC unroll 12
        for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
            for (int i = 0; i < kVectors; ++i) {
                const typename V::Floats factor = V::load(scale + V::kLanes * i);
                const typename V::Floats dot = V::to_floats(s[r][i]);
                t[r][i] = part == 0 ? V::mul(factor, dot) : V::fmadd(factor, dot, t[r][i]);
            }
        }
    }
#pragma GCC unroll 12
    for (size_t r = 0; r < kRows; ++r) {
        finish_row<V, K, kVectors>(record, terms, r, g, args.x.scale[(at + r * args.k) / 32], t[r],
                                   acc + r * 2 * V::kLanes);
    }
}

// Adds the lanes in their order and stores n_valid columns of kRows rows.
template <class V, size_t kRows, int kVectors>
inline void store_totals(const float acc[8][kRows][2 * V::kLanes], const MatmulBlockArgs& args,
                         size_t m0, size_t n, size_t n_valid) {
    for (size_t r = 0; r < kRows; ++r) {
        alignas(64) float out[2 * V::kLanes];
        for (size_t i = 0; i < kVectors * V::kLanes; i += V::kLanes) {
            typename V::Floats sum = V::load(acc[0][r] + i);
            for (int lane = 1; lane < 8; ++lane) sum = V::add(sum, V::load(acc[lane][r] + i));
            V::store(out + i, sum);
        }
        memcpy(args.out + (m0 + r) * args.out_stride + n, out, n_valid * sizeof(float));
    }
}

// Rows m0..m0+kRows-1 times the tile's first kVectors vectors of columns, n_valid of them stored.
template <class V, class K, size_t kRows, int kVectors>
void multiply_tile(const uint8_t* record, const MatmulBlockArgs& args, size_t m0, int bias,
                   size_t n, size_t n_valid) {
    constexpr size_t kNr = 2 * V::kLanes;
    using R = Record<kNr, K::kHalves, K::kMins>;
    alignas(64) float acc[8][kRows][kNr];
    memset(acc, 0, sizeof(acc));
    const size_t n_groups = args.k / 32;
    for (size_t first = 0; first < n_groups; first += 8) {
        const size_t count = n_groups - first < 8 ? n_groups - first : 8;
        const size_t at = m0 * args.k + 32 * first;
        RowTerms<kRows> terms;
        fill_terms<K>(args, at, count, bias, terms);
        for (size_t g = 0; g < count; ++g, record += R::kBytes) {
            add_record<V, K, kRows, kVectors>(record, args, at + 32 * g, terms, g, acc[g][0]);
        }
    }
    store_totals<V, kRows, kVectors>(acc, args, m0, n, n_valid);
}

// Activation rows m.. times a tile. Rows left over at the end are multiplied in fours; the last
// four may take rows again, which gives the same bits.
template <class V, class K, int kVectors>
void multiply_all(const uint8_t* tile, const MatmulBlockArgs& args, size_t m, int bias, size_t n,
                  size_t n_valid) {
    constexpr size_t kTall = K::kHalves ? V::kMaxRowsHalves : V::kMaxRows;
    constexpr size_t kHigh = kTall > 8 ? 8 : kTall;
    while (m < args.m) {
        const size_t left = args.m - m;
        if (left >= kTall) {
            multiply_tile<V, K, kTall, kVectors>(tile, args, m, bias, n, n_valid);
            m += kTall;
        } else if (left >= kHigh) {
            multiply_tile<V, K, kHigh, kVectors>(tile, args, m, bias, n, n_valid);
            m += kHigh;
        } else {
            const size_t from = left >= 4 ? m : args.m - 4;
            multiply_tile<V, K, 4, kVectors>(tile, args, from, bias, n, n_valid);
            m = from + 4;
        }
    }
}

// At least 4 activation rows.
template <class V, class Rows>
void multiply_many(const MatmulBlockArgs& args, Rows& rows, uint8_t* tile) {
    constexpr size_t kNr = 2 * V::kLanes;
    using K = Kind<V::template width<Rows::kWidth>(), Rows::kHalves, Rows::kMins>;
    const int bias = V::kFlip && Rows::kWidth == Width::s8 ? 128 : rows.bias();
    for (size_t n = args.n_begin; n < args.n_end; n += kNr) {
        fill_tile<kNr, V::kFlip>(args, rows, n, tile);
        const size_t n_valid = args.n_end - n < kNr ? args.n_end - n : kNr;
        if (n_valid <= V::kLanes) {
            multiply_all<V, K, 1>(tile, args, 0, bias, n, n_valid);
        } else {
            multiply_all<V, K, 2>(tile, args, 0, bias, n, n_valid);
        }
    }
}

}  // namespace
}  // namespace gemlet
