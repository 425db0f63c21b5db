// AVX-512 VNNI: vpdpbusd adds four products of unsigned weight codes and signed activations to 32
// bits without saturation, so all formats take one path; signed codes get a bias of 128, which the
// activations' sums take off again.
//
// Prefill: 6 activation rows x 32 weight rows in registers: 12 integer and 12 float accumulators, 2
// weight vectors, 1 activation broadcast; per 4 columns 2 + 6 loads for 12 vpdpbusd. Decode uses
// the same 256-bit layout as AVX2: it waits for memory. Measured: only for correctness so far; no
// share of peak can be stated.
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/matmul_block/block_pack_avx2.h"
#include "kernels/matmul_block/block_tile_avx2.h"
#include "kernels/matmul_block/matmul_block.h"
#include "kernels/matmul_block/row_dots_avx2.h"

namespace gemlet {
namespace {

constexpr size_t kNr = 32;  // weight rows of a tile: two vectors of sixteen outputs
constexpr size_t kMr = 6;   // activation rows held in registers

struct Arith {
    // w[g] * x[32g..] summed per 16 columns. Horizontal additions bring group g to lane g of a
    // half.
    template <Width kWidth>
    __attribute__((always_inline)) static GroupSums dot(const __m256i w[8], const int8_t* x) {
        __m256i p[8];
        for (int g = 0; g < 8; ++g) {
            const __m256i v = load_256(x + 32 * g);
            const bool is_signed = kWidth == Width::s8;
            p[g] = _mm256_dpbusd_epi32(_mm256_setzero_si256(),
                                       is_signed ? _mm256_abs_epi8(w[g]) : w[g],
                                       is_signed ? _mm256_sign_epi8(v, w[g]) : v);
        }
        const __m256i low =
            _mm256_hadd_epi32(_mm256_hadd_epi32(p[0], p[1]), _mm256_hadd_epi32(p[2], p[3]));
        const __m256i high =
            _mm256_hadd_epi32(_mm256_hadd_epi32(p[4], p[5]), _mm256_hadd_epi32(p[6], p[7]));
        return {_mm256_permute2x128_si256(low, high, 0x20),
                _mm256_permute2x128_si256(low, high, 0x31)};
    }
};

// Adds one record to kRows rows of 32 outputs.
template <class K, size_t kRows>
__attribute__((always_inline)) inline void add_record(const uint8_t* record,
                                                      const MatmulBlockArgs& args, size_t at,
                                                      int bias, __m512 acc[kRows][2]) {
    using R = Record<kNr, K::kHalves, K::kMins>;
    constexpr int kParts = K::kHalves ? 2 : 1;
    constexpr int kChunks = 8 / kParts;
    __m512 t[kRows][2];
#pragma GCC unroll 2
    for (int part = 0; part < kParts; ++part) {
        const uint8_t* codes = record + static_cast<size_t>(part * kChunks) * R::kChunk;
        const int8_t* x = args.x.codes + at + 4 * part * kChunks;
        const int taken_off = K::kHalves ? bias << (16 * part) : (bias << 16 | bias);
        __m512i s[kRows][2];
#pragma GCC unroll 6
        for (size_t r = 0; r < kRows; ++r) {  // start at -bias * sum(x)
            const void* sums = args.x.sums + (at + r * args.k) / 16;
            const __m512i pair = _mm512_set1_epi32(load_i32(static_cast<const uint8_t*>(sums)));
            s[r][0] = _mm512_sub_epi32(_mm512_setzero_si512(),
                                       _mm512_madd_epi16(pair, _mm512_set1_epi32(taken_off)));
            s[r][1] = s[r][0];
        }
#pragma GCC unroll 8
        for (int c = 0; c < kChunks; ++c) {
            const __m512i w0 = _mm512_loadu_si512(codes + 128 * c);
            const __m512i w1 = _mm512_loadu_si512(codes + 128 * c + 64);
#pragma GCC unroll 6
            for (size_t r = 0; r < kRows; ++r) {
                const void* four = x + r * args.k + 4 * c;
                const __m512i v = _mm512_set1_epi32(load_i32(static_cast<const uint8_t*>(four)));
                s[r][0] = _mm512_dpbusd_epi32(s[r][0], w0, v);
                s[r][1] = _mm512_dpbusd_epi32(s[r][1], w1, v);
            }
        }
        const uint8_t* scale = record + R::kScale + static_cast<size_t>(part) * R::kChunk;
#pragma GCC unroll 6
        for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
            for (int i = 0; i < 2; ++i) {
                const __m512 dot = _mm512_cvtepi32_ps(s[r][i]);
                const __m512 factor = _mm512_loadu_ps(scale + 64 * i);
                t[r][i] =
                    part == 0 ? _mm512_mul_ps(factor, dot) : _mm512_fmadd_ps(factor, dot, t[r][i]);
            }
        }
    }
#pragma GCC unroll 6
    for (size_t r = 0; r < kRows; ++r) {
        const size_t x_at = at + r * args.k;
        if (K::kMins) {
            const int16_t* sums = args.x.sums + x_at / 16;
#pragma GCC unroll 2
            for (int part = 0; part < kParts; ++part) {
                const uint8_t* min = record + R::kMin + static_cast<size_t>(part) * R::kChunk;
                const int total = K::kHalves ? sums[part] : sums[0] + sums[1];
                const __m512 sum = _mm512_set1_ps(static_cast<float>(total));
                for (int i = 0; i < 2; ++i) {
                    t[r][i] = _mm512_fnmadd_ps(_mm512_loadu_ps(min + 64 * i), sum, t[r][i]);
                }
            }
        }
        const __m512 scale = _mm512_set1_ps(args.x.scale[x_at / 32]);
        for (int i = 0; i < 2; ++i) acc[r][i] = _mm512_fmadd_ps(scale, t[r][i], acc[r][i]);
    }
}

// Rows m0..m0+kRows-1 times the tile; `out` is [kRows, kNr].
template <class K, size_t kRows>
void multiply_tile(const uint8_t* record, const MatmulBlockArgs& args, size_t m0, int bias,
                   float* out) {
    using R = Record<kNr, K::kHalves, K::kMins>;
    for (size_t i = 0; i < kRows * kNr; ++i) out[i] = 0.0F;
    const size_t n_groups = args.k / 32;
    for (size_t lane = 0; lane < 8; ++lane) {
        __m512 acc[kRows][2];
        for (size_t r = 0; r < kRows; ++r) acc[r][0] = acc[r][1] = _mm512_setzero_ps();
        const size_t count = lane_groups(n_groups, lane);
        for (size_t i = 0; i < count; ++i, record += R::kBytes) {
            add_record<K, kRows>(record, args, m0 * args.k + 256 * i + 32 * lane, bias, acc);
        }
        for (size_t r = 0; r < kRows; ++r) {
            for (size_t i = 0; i < 2; ++i) {
                float* sum = out + kNr * r + 16 * i;
                _mm512_storeu_ps(sum, _mm512_add_ps(_mm512_loadu_ps(sum), acc[r][i]));
            }
        }
    }
}

template <class Rows>
void multiply_many(const MatmulBlockArgs& args, Rows& rows, uint8_t* tile) {
    using K = Kind<Width::s8, Rows::kHalves, Rows::kMins>;  // the width does not matter here
    const int bias = Rows::kWidth == Width::s8 ? 128 : rows.bias();
    for (size_t n = args.n_begin; n < args.n_end; n += kNr) {
        fill_tile<kNr, true>(args, rows, n, tile);
        const size_t n_valid = args.n_end - n < kNr ? args.n_end - n : kNr;
        for (size_t m = 0; m < args.m;) {
            alignas(64) float out[kMr * kNr];
            const size_t left = args.m - m;
            const size_t n_rows = left >= kMr ? kMr : left >= 4 ? 4 : left >= 2 ? 2 : 1;
            switch (n_rows) {
                case 1:
                    multiply_tile<K, 1>(tile, args, m, bias, out);
                    break;
                case 2:
                    multiply_tile<K, 2>(tile, args, m, bias, out);
                    break;
                case 4:
                    multiply_tile<K, 4>(tile, args, m, bias, out);
                    break;
                default:
                    multiply_tile<K, kMr>(tile, args, m, bias, out);
                    break;
            }
            for (size_t r = 0; r < n_rows; ++r, ++m) {
                memcpy(args.out + m * args.out_stride + n, out + kNr * r, n_valid * sizeof(float));
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

extern const MatmulBlockVariant matmul_block_avx512vnni;
const MatmulBlockVariant matmul_block_avx512vnni = {"matmul_block_avx512vnni", Isa::avx512vnni,
                                                    pack_rows, run};

}  // namespace gemlet
