// AVX2 without VNNI: products of bytes are added in pairs to 16 bits by vpmaddubsw, which
// saturates, so how often 16-bit sums can be added before they are widened depends on the format's
// range (Width): 15 * 127 * 16 and 31 * 127 * 8 and 63 * 127 * 4 stay below 2^15. Signed 8-bit
// codes move their sign to the activation: |w| * sign(x, w), at most 128 * 127 * 2.
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/matmul_block/block_pack_avx2.h"
#include "kernels/matmul_block/block_tile_avx2.h"
#include "kernels/matmul_block/matmul_block.h"
#include "kernels/matmul_block/row_dots_avx2.h"

namespace gemlet {
namespace {

constexpr size_t kNr = 16;  // weight rows of a tile: two vectors of eight outputs
constexpr size_t kMr = 4;   // activation rows held in registers

struct Arith {
    // w[g] * x[32g..] summed per 16 columns. Horizontal additions bring group g to lane g of a
    // half.
    template <Width kWidth>
    __attribute__((always_inline)) static GroupSums dot(const __m256i w[8], const int8_t* x) {
        const __m256i ones = _mm256_set1_epi16(1);
        __m256i p[8];
        for (int g = 0; g < 8; ++g) {
            const __m256i v = load_256(x + 32 * g);
            p[g] = kWidth == Width::s8
                       ? _mm256_maddubs_epi16(_mm256_abs_epi8(w[g]), _mm256_sign_epi8(v, w[g]))
                       : _mm256_maddubs_epi16(w[g], v);
        }
        __m256i four[2];
        for (int i = 0; i < 2; ++i) {
            const __m256i* q = p + 4 * i;
            if (kWidth == Width::u4 || kWidth == Width::u5) {
                const __m256i pairs =
                    _mm256_hadd_epi16(_mm256_hadd_epi16(q[0], q[1]), _mm256_hadd_epi16(q[2], q[3]));
                four[i] = _mm256_madd_epi16(pairs, ones);
            } else if (kWidth == Width::u6) {
                four[i] = _mm256_hadd_epi32(_mm256_madd_epi16(_mm256_hadd_epi16(q[0], q[1]), ones),
                                            _mm256_madd_epi16(_mm256_hadd_epi16(q[2], q[3]), ones));
            } else {
                four[i] = _mm256_hadd_epi32(
                    _mm256_hadd_epi32(_mm256_madd_epi16(q[0], ones), _mm256_madd_epi16(q[1], ones)),
                    _mm256_hadd_epi32(_mm256_madd_epi16(q[2], ones),
                                      _mm256_madd_epi16(q[3], ones)));
            }
        }
        return {_mm256_permute2x128_si256(four[0], four[1], 0x20),
                _mm256_permute2x128_si256(four[0], four[1], 0x31)};
    }
};

// Chunks of 4 columns whose products may be added in 16 bits.
constexpr int adds_of(Width width) {
    switch (width) {
        case Width::u4:
            return 8;
        case Width::u5:
            return 4;
        case Width::u6:
            return 2;
        default:
            return 1;
    }
}

// One lane of 8 outputs times one activation row.
struct Pair {
    __m256i v[2];
};

template <Width kWidth>
__attribute__((always_inline)) inline __m256i products(__m256i w, __m256i x) {
    if (kWidth == Width::s8)
        return _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
    return _mm256_maddubs_epi16(w, x);
}

// Hides that v is a sum: g++ 12 otherwise reorders a chain of additions so that all products come
// first and are spilled (measured: half the speed).
__attribute__((always_inline)) inline void keep_order(__m256i& v) { asm("" : "+x"(v)); }

// kChunks times 4 columns: s[r] = sum of codes times activations of row r.
template <Width kWidth, int kChunks, size_t kRows>
__attribute__((always_inline)) inline void add_chunks(const uint8_t* codes, const int8_t* x,
                                                      size_t x_stride, Pair s[kRows]) {
    constexpr int kAdds = adds_of(kWidth) < kChunks ? adds_of(kWidth) : kChunks;
    const __m256i ones = _mm256_set1_epi16(1);
#pragma GCC unroll 8
    for (int c0 = 0; c0 < kChunks; c0 += kAdds) {
        Pair a[kRows];
#pragma GCC unroll 8
        for (int c = c0; c < c0 + kAdds; ++c) {
            const __m256i w0 = load_256(codes + 64 * c);
            const __m256i w1 = load_256(codes + 64 * c + 32);
#pragma GCC unroll 4
            for (size_t r = 0; r < kRows; ++r) {
                const auto* at = reinterpret_cast<const uint8_t*>(x + r * x_stride + 4 * c);
                const __m256i v = _mm256_set1_epi32(load_i32(at));
                const __m256i p0 = products<kWidth>(w0, v);
                const __m256i p1 = products<kWidth>(w1, v);
                a[r].v[0] = c == c0 ? p0 : _mm256_add_epi16(a[r].v[0], p0);
                a[r].v[1] = c == c0 ? p1 : _mm256_add_epi16(a[r].v[1], p1);
                keep_order(a[r].v[0]);
                keep_order(a[r].v[1]);
            }
        }
#pragma GCC unroll 4
        for (size_t r = 0; r < kRows; ++r) {
            for (int i = 0; i < 2; ++i) {
                const __m256i wide = _mm256_madd_epi16(a[r].v[i], ones);
                s[r].v[i] = c0 == 0 ? wide : _mm256_add_epi32(s[r].v[i], wide);
            }
        }
    }
}

// Adds one record to kRows rows of 16 outputs.
template <class K, size_t kRows>
__attribute__((always_inline)) inline void add_record(const uint8_t* record,
                                                      const MatmulBlockArgs& args, size_t at,
                                                      int bias, __m256 acc[kRows][2]) {
    using R = Record<kNr, K::kHalves, K::kMins>;
    constexpr int kParts = K::kHalves ? 2 : 1;
    constexpr int kChunks = 8 / kParts;
    __m256 t[kRows][2];
#pragma GCC unroll 2
    for (int part = 0; part < kParts; ++part) {
        Pair s[kRows];
        add_chunks<K::kWidth, kChunks, kRows>(
            record + static_cast<size_t>(part * kChunks) * R::kChunk,
            args.x.codes + at + 4 * part * kChunks, args.k, s);
        const int pick = K::kHalves ? bias << (16 * part) : (bias << 16 | bias);
        const auto* scale = reinterpret_cast<const float*>(record + R::kScale + part * R::kChunk);
#pragma GCC unroll 4
        for (size_t r = 0; r < kRows; ++r) {
            const int16_t* sums = args.x.sums + (at + r * args.k) / 16;
            const __m256i pair =
                _mm256_set1_epi32(load_i32(reinterpret_cast<const uint8_t*>(sums)));
            const __m256i excess = _mm256_madd_epi16(pair, _mm256_set1_epi32(pick));
            for (int i = 0; i < 2; ++i) {
                const __m256 dot = _mm256_cvtepi32_ps(_mm256_sub_epi32(s[r].v[i], excess));
                const __m256 factor = _mm256_loadu_ps(scale + 8 * i);
                t[r][i] =
                    part == 0 ? _mm256_mul_ps(factor, dot) : _mm256_fmadd_ps(factor, dot, t[r][i]);
            }
        }
    }
#pragma GCC unroll 4
    for (size_t r = 0; r < kRows; ++r) {
        const size_t x_at = at + r * args.k;
        if (K::kMins) {
            const int16_t* sums = args.x.sums + x_at / 16;
            for (int part = 0; part < kParts; ++part) {
                const auto* min =
                    reinterpret_cast<const float*>(record + R::kMin + part * R::kChunk);
                const int total = K::kHalves ? sums[part] : sums[0] + sums[1];
                const __m256 sum = _mm256_set1_ps(static_cast<float>(total));
                for (int i = 0; i < 2; ++i) {
                    t[r][i] = _mm256_fnmadd_ps(_mm256_loadu_ps(min + 8 * i), sum, t[r][i]);
                }
            }
        }
        const __m256 scale = _mm256_set1_ps(args.x.scale[x_at / 32]);
        for (int i = 0; i < 2; ++i) acc[r][i] = _mm256_fmadd_ps(scale, t[r][i], acc[r][i]);
    }
}

// Rows m0..m0+kRows-1 times the tile; `out` is [kRows, kNr].
template <class K, size_t kRows>
void multiply_tile(const uint8_t* record, const MatmulBlockArgs& args, size_t m0, int bias,
                   float* out) {
    using R = Record<kNr, K::kHalves, K::kMins>;
    __m256 total[kRows][2] = {};
    const size_t n_groups = args.k / 32;
    for (size_t lane = 0; lane < 8; ++lane) {
        __m256 acc[kRows][2] = {};
        const size_t count = lane_groups(n_groups, lane);
        for (size_t i = 0; i < count; ++i, record += R::kBytes) {
            add_record<K, kRows>(record, args, m0 * args.k + 256 * i + 32 * lane, bias, acc);
        }
        for (size_t r = 0; r < kRows; ++r) {
            for (int i = 0; i < 2; ++i) total[r][i] = _mm256_add_ps(total[r][i], acc[r][i]);
        }
    }
    for (size_t r = 0; r < kRows; ++r) {
        for (size_t i = 0; i < 2; ++i) _mm256_storeu_ps(out + kNr * r + 8 * i, total[r][i]);
    }
}

template <class Rows>
void multiply_many(const MatmulBlockArgs& args, Rows& rows, uint8_t* tile) {
    using K = Kind<Rows::kWidth, Rows::kHalves, Rows::kMins>;
    for (size_t n = args.n_begin; n < args.n_end; n += kNr) {
        fill_tile<kNr, false>(args, rows, n, tile);
        const size_t n_valid = args.n_end - n < kNr ? args.n_end - n : kNr;
        for (size_t m = 0; m < args.m; m += kMr) {
            alignas(32) float out[kMr * kNr];
            const size_t n_rows = args.m - m < kMr ? args.m - m : kMr;
            switch (n_rows) {
                case 1:
                    multiply_tile<K, 1>(tile, args, m, rows.bias(), out);
                    break;
                case 2:
                    multiply_tile<K, 2>(tile, args, m, rows.bias(), out);
                    break;
                case 3:
                    multiply_tile<K, 3>(tile, args, m, rows.bias(), out);
                    break;
                default:
                    multiply_tile<K, 4>(tile, args, m, rows.bias(), out);
                    break;
            }
            for (size_t r = 0; r < n_rows; ++r) {
                memcpy(args.out + (m + r) * args.out_stride + n, out + kNr * r,
                       n_valid * sizeof(float));
            }
        }
    }
}

void run(const MatmulBlockArgs& args) {
    if (args.m == 0 || args.n_begin >= args.n_end) return;
    const size_t padded = (args.k + 255) / 256 * 256;
    uint8_t* tile = args.scratch + kSlots * (padded + padded / 2);  // after the unpacked rows
    with_rows(args, args.scratch, [&](auto rows) {
        if (args.m <= kMaxDotRows) return multiply_few<Arith>(args, rows);
        multiply_many(args, rows, tile);
    });
}

}  // namespace

extern const MatmulBlockVariant matmul_block_avx2;
const MatmulBlockVariant matmul_block_avx2 = {"matmul_block_avx2", Isa::avx2, pack_rows, run};

}  // namespace gemlet
